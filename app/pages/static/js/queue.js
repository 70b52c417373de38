/** The waiting room as the one who waits sees it: the place, an honest estimate, and who lets them in. */

import { facts, part, t } from './page.js';
import { announce, showNotice } from './views.js';

const MINUTE_S = 60;
let said = 0;

/** Show the page of the waiting room; `place` as the service gives it, or nothing when it does not know yet. */
export function showQueue(place) {
  showNotice('queue');
  said = 0;
  part('let-in-by').textContent = facts.letInBy ? t('queue.let-in-by', { name: facts.letInBy }) : t('queue.let-in-by-team');
  part('queue').hidden = false;
  updateQueue(place);
}

/** Show where the person stands now. Only a changed place is read out: the minutes would be chatter. */
export function updateQueue(place) {
  part('place').textContent = place ? placeText(place.ahead) : '';
  part('estimate').textContent = place ? estimateText(place.estimate_s) : '';
  if (place && place.place !== said) {
    said = place.place;
    announce(`${t('state.queue.title')}. ${placeText(place.ahead)} ${estimateText(place.estimate_s)}`);
  }
}

function placeText(ahead) {
  if (ahead === 0) {
    return t('queue.next');
  }
  return ahead === 1 ? t('queue.one-ahead') : t('queue.ahead', { count: ahead });
}

function estimateText(seconds) {
  if (seconds === null) {
    return t('queue.no-estimate');
  }
  const minutes = Math.ceil(seconds / MINUTE_S);
  return minutes <= 1 ? t('queue.soon') : t('queue.estimate', { count: minutes });
}
