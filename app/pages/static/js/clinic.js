/** The clinic's page: the visits of a day, kept up to date as long as somebody looks. */

import { lookLater, onNews } from './clinic-news.js';
import { requestDay } from './clinic-service.js';
import { takeTouch, touch } from './clinic-touch.js';
import { renderVisits } from './clinic-visits.js';
import { dayTitle, timeOf } from './clinic-words.js';
import { prepareDialog } from './dialog.js';
import { language, part, t } from './page.js';

const DAY_MS = 86_400_000;
const address = new URL(location.href);
let shown = null;
let asked = 0;
let isLeaving = false;

prepareDialog();
part('provider').addEventListener('change', () => {
  keep('provider', part('provider').value);
  look();
});
// A page that nobody sees asks nothing; when it is seen again it is brought up to date at once.
document.addEventListener('visibilitychange', () => (document.hidden ? lookLater() : look()));
// An answer that comes while somebody signs out must not lead them to the sign-in again.
part('sign-out').addEventListener('submit', () => {
  isLeaving = true;
});
onNews(look);
look();

async function look() {
  asked += 1;
  const mine = asked;
  const isPerson = takeTouch();
  const answer = await requestDay(address.searchParams.get('day'), address.searchParams.get('provider'), isPerson);
  // The filter may have been changed meanwhile.
  if (mine !== asked || isLeaving) {
    return;
  }
  if (answer.kind === 'signed-out') {
    leave(isPerson);
    return;
  }
  if (answer.kind === 'ok') {
    shown = answer.body;
    render();
  } else {
    if (isPerson) {
      touch();
    }
    part('as-of').textContent = shown ? t('clinic.stale', { time: timeOf(shown.as_of, shown.timezone) }) : t('clinic.unreachable');
  }
  part('as-of').toggleAttribute('data-stale', answer.kind !== 'ok');
  lookLater();
}

/** Lead to the sign-in; where nobody is, only take the names away: the issuer might let anybody in again. */
function leave(isPerson) {
  const then = encodeURIComponent(address.pathname + address.search);
  location.replace(isPerson ? `/staff/sign-in?then=${then}` : `/staff/notice/ended?lang=${language}`);
}

function render() {
  part('day').textContent = dayTitle(shown.day);
  renderDays();
  renderProviders();
  renderVisits(shown, look);
  part('none').hidden = shown.items.length > 0;
  part('none').textContent = t('clinic.none');
  part('cut').hidden = !shown.more;
  part('cut').textContent = t('clinic.more-visits', { count: shown.items.length });
  part('as-of').textContent = t('clinic.as-of', { time: timeOf(shown.as_of, shown.timezone) });
}

function renderDays() {
  const other = (days) => new Date(Date.parse(shown.day) + days * DAY_MS).toISOString().slice(0, 10);
  part('before').href = withValue('day', other(-1));
  part('today').href = withValue('day', '');
  part('after').href = withValue('day', other(1));
  part('today').toggleAttribute('aria-current', shown.is_today);
  if (shown.is_today) {
    part('today').setAttribute('aria-current', 'date');
  }
}

function renderProviders() {
  const chosen = address.searchParams.get('provider') ?? '';
  const select = part('provider');
  const known = [...select.options].slice(1).map((option) => option.value).join();
  if (known !== shown.providers.map((one) => one.id).join()) {
    select.replaceChildren(select.options[0], ...shown.providers.map((one) => new Option(one.display_name, one.id)));
  }
  select.value = chosen;
  if (select.selectedIndex < 0) {
    // Whoever was chosen has no visits on this day.
    select.value = '';
    if (chosen) {
      keep('provider', '');
      look();
    }
  }
}

function withValue(name, value) {
  const other = new URL(address);
  if (value) {
    other.searchParams.set(name, value);
  } else {
    other.searchParams.delete(name);
  }
  return other.pathname + other.search;
}

function keep(name, value) {
  address.href = new URL(withValue(name, value), address).href;
  history.replaceState(null, '', address);
}
