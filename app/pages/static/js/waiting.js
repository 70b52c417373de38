/** For who moderates: the people who wait to be let in, and a button for each. */

import { part, t } from './page.js';
import { admit, requestWaiting } from './service.js';
import { toast } from './toasts.js';
import { announce } from './views.js';

const LOOK_EVERY_MS = 3000;
const MINUTE_S = 60;
const rows = new Map();
let watch = null;

/** Begin to look who waits, unless it is being done. */
export function watchWaiting() {
  if (!watch) {
    watch = { timer: null };
    look(watch);
  }
}

/** Look no more, and show nobody. */
export function stopWaiting() {
  clearTimeout(watch?.timer);
  watch = null;
  render([]);
}

async function look(mine) {
  const people = await requestWaiting();
  if (watch === mine) {
    // Without an answer the list stays as it was: an empty one would say that nobody waits.
    if (people) {
      render(people);
    }
    mine.timer = setTimeout(() => look(mine), LOOK_EVERY_MS);
  }
}

/** Rows stay the same elements, so that nobody's focus jumps while the list is brought up to date. */
function render(people) {
  const here = new Set(people.map((person) => person.participant_id));
  [...rows.keys()].filter((id) => !here.has(id)).forEach(forget);
  for (const person of people) {
    const row = rows.get(person.participant_id) ?? makeRow(person);
    const minutes = Math.floor(person.waited_s / MINUTE_S);
    row.since.textContent = minutes ? t('call.waits-for', { count: minutes }) : t('call.waits-now');
    part('waiting-list').append(...(row.item.isConnected ? [] : [row.item]));
  }
  part('waiting').hidden = people.length === 0;
  part('waiting-title').textContent = t('call.waiting', { count: people.length });
}

function makeRow(person) {
  const [item, name, since, button] = ['li', 'strong', 'span', 'button'].map((tag) => document.createElement(tag));
  name.textContent = person.display_name;
  button.type = 'button';
  button.className = 'admit';
  button.dataset.testid = 'admit';
  button.textContent = t('call.admit');
  button.setAttribute('aria-label', t('call.admit-name', { name: person.display_name }));
  button.addEventListener('click', () => letIn(person, button));
  item.append(name, since, button);
  rows.set(person.participant_id, { item, since });
  announce(t('call.waits', { name: person.display_name }));
  return rows.get(person.participant_id);
}

function forget(id) {
  const { item } = rows.get(id);
  const held = item.contains(document.activeElement);
  item.remove();
  rows.delete(id);
  if (held) {
    // The button under the finger is gone: the next one, or what is read of the call.
    (part('waiting-list').querySelector('button') ?? document.getElementById('call-title')).focus({ preventScroll: true });
  }
}

async function letIn(person, button) {
  if (button.ariaDisabled === 'true') {
    return;
  }
  // Not disabled: that would take the focus from whoever works with keys alone.
  button.ariaDisabled = 'true';
  const done = await admit(person.participant_id);
  if (done) {
    announce(t('call.admitted', { name: person.display_name }));
    forget(person.participant_id);
    part('waiting').hidden = rows.size === 0;
    part('waiting-title').textContent = t('call.waiting', { count: rows.size });
  } else {
    button.ariaDisabled = 'false';
    toast(t('call.notice'), t('call.admit-failed'));
  }
}
