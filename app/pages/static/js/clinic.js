/** The clinic's page: the visits of a day, kept up to date as long as somebody looks. */

import { requestDay } from './clinic-service.js';
import { renderVisits } from './clinic-visits.js';
import { dayTitle, timeOf } from './clinic-words.js';
import { prepareDialog } from './dialog.js';
import { part, t } from './page.js';

const LOOK_EVERY_MS = 15_000;
const DAY_MS = 86_400_000;
const address = new URL(location.href);
let shown = null;
let timer = null;
let asked = 0;

prepareDialog();
part('provider').addEventListener('change', () => {
  keep('provider', part('provider').value);
  look();
});
// A page that nobody sees asks nothing; when it is seen again it is brought up to date at once.
document.addEventListener('visibilitychange', () => (document.hidden ? clearTimeout(timer) : look()));
look();

async function look() {
  clearTimeout(timer);
  asked += 1;
  const mine = asked;
  const answer = await requestDay(address.searchParams.get('day'), address.searchParams.get('provider'));
  // The filter may have been changed meanwhile.
  if (mine !== asked) {
    return;
  }
  if (answer.kind === 'signed-out') {
    location.assign(`/staff/sign-in?then=${encodeURIComponent(address.pathname + address.search)}`);
    return;
  }
  if (answer.kind === 'ok') {
    shown = answer.body;
    render();
  } else {
    part('as-of').textContent = shown ? t('clinic.stale', { time: timeOf(shown.as_of, shown.timezone) }) : t('clinic.unreachable');
  }
  part('as-of').toggleAttribute('data-stale', answer.kind !== 'ok');
  if (!document.hidden) {
    timer = setTimeout(look, LOOK_EVERY_MS);
  }
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
