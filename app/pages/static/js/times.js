/** Times in the reader's own zone and language, and a countdown that does not trust the phone's clock. */

import { facts, language, part, t } from './page.js';
import { whileShown } from './views.js';

const TICK_MS = 1000;
const MINUTE_MS = 60_000;
// How far this device's clock is from the server's.
const skew = Date.now() - Date.parse(facts.now);

// The page's language in the reader's own country: "en" alone would give everybody American dates.
const locale = navigator.languages.find((name) => name.split('-')[0] === language) ?? language;

/** Rewrite every server-rendered UTC time as local time. */
export function localiseTimes() {
  const format = new Intl.DateTimeFormat(locale, { dateStyle: 'full', timeStyle: 'short' });
  for (const element of document.querySelectorAll('time[data-local]')) {
    const start = new Date(element.dateTime);
    const end = element.dataset.ends && new Date(element.dataset.ends);
    element.textContent = end ? format.formatRange(start, end) : format.format(start);
  }
}

/**
 * Count down to `opensAt` (ISO text) in the notice.
 * @param {Function} then called once, when the time has come.
 */
export function countDown(opensAt, then) {
  const opens = Date.parse(opensAt) + skew;
  const timer = setInterval(tick, TICK_MS);
  whileShown(() => clearInterval(timer));
  tick();

  function tick() {
    const left = opens - Date.now();
    const element = part('countdown');
    element.hidden = false;
    element.textContent = `${opensText(opens)} · ${leftText(left)}`;
    if (left <= 0) {
      clearInterval(timer);
      then();
    }
  }
}

function opensText(opens) {
  const time = new Intl.DateTimeFormat(locale, { timeStyle: 'short' }).format(new Date(opens));
  return t('countdown.opens', { time });
}

function leftText(left) {
  const minutes = Math.ceil(left / MINUTE_MS);
  return left < MINUTE_MS ? t('countdown.soon') : t('countdown.minutes', { count: minutes });
}
