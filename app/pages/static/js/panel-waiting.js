/** For who moderates: the people who wait to be let in, and two buttons for each. */

import { ask } from './dialog.js';
import { button as control, part, t } from './page.js';
import { once, say } from './panel-acts.js';
import { admit, admitNext, deny, requestWaiting } from './service.js';
import { toast } from './toasts.js';
import { announce } from './views.js';

const LOOK_EVERY_MS = 3000;
const MINUTE_S = 60;
const LONGEST_MESSAGE = 200;
let wired = false;
const rows = new Map();
let watch = null;

/** Begin to look who waits, unless it is being done. */
export function watchWaiting() {
  if (!wired) {
    wired = true;
    control('admit-next').addEventListener('click', letNextIn);
  }
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
  count();
}

function count() {
  document.body.toggleAttribute('data-waiting', rows.size > 0);
  part('waiting').hidden = rows.size === 0;
  part('nobody-waits').hidden = rows.size > 0;
  control('admit-next').hidden = rows.size < 2;
  part('waiting-title').textContent = t('call.waiting', { count: rows.size });
}

function makeRow(person) {
  const { display_name: name, participant_id: id } = person;
  const [item, who, called, since] = ['li', 'div', 'strong', 'span'].map((tag) => document.createElement(tag));
  who.className = 'name';
  called.textContent = name;
  who.append(called, since);
  since.className = 'soft';
  const yes = makeButton('admit', t('call.admit'), t('call.admit-name', { name }));
  const no = makeButton('deny', t('panel.deny'), t('panel.deny-name', { name }));
  yes.addEventListener('click', () => decide(person, yes, () => admit(id), t('call.admitted', { name })));
  no.addEventListener('click', () => turnAway(person, no));
  item.append(who, yes, no);
  rows.set(id, { item, since });
  announce(t('call.waits', { name }));
  return rows.get(id);
}

function makeButton(does, text, name) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = does === 'admit' ? 'small main' : 'small';
  element.dataset.testid = does;
  element.textContent = text;
  element.setAttribute('aria-label', name);
  return element;
}

function forget(id) {
  const { item } = rows.get(id);
  const held = item.contains(document.activeElement);
  item.remove();
  rows.delete(id);
  if (held) {
    // The button under the finger is gone: the next one, or what is read of the panel or the call.
    const next = part('waiting-list').querySelector('button') ?? (part('panel-top').hidden ? null : part('panel-title'));
    (next ?? document.getElementById('call-title')).focus({ preventScroll: true });
  }
}

async function turnAway(person, pressed) {
  const name = person.display_name;
  const answer = await ask({
    title: t('panel.deny-title', { name }),
    text: t('panel.deny-text'),
    yes: t('panel.deny'),
    field: { label: t('panel.deny-words'), longest: LONGEST_MESSAGE, required: false },
  });
  if (answer) {
    decide(person, pressed, () => deny(person.participant_id, answer.words), t('panel.denied', { name }));
  }
}

async function decide(person, pressed, work, done) {
  const answer = await once(pressed, work);
  if (answer) {
    say(done);
    if (rows.has(person.participant_id)) {
      forget(person.participant_id);
    }
    count();
  } else if (answer !== undefined) {
    toast(t('call.notice'), t('call.admit-failed'));
  }
}

async function letNextIn() {
  const answer = await once(control('admit-next'), admitNext);
  if (answer) {
    const id = answer.participant_id;
    const name = answer.display_name;
    say(t('call.admitted', { name }));
    if (rows.has(id)) {
      forget(id);
    }
    count();
    if (control('admit-next').hidden) {
      part('panel-title').focus({ preventScroll: true });
    }
  } else if (answer !== undefined) {
    toast(t('call.notice'), t('panel.failed'));
  }
}
