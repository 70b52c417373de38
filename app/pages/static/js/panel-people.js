/** For who moderates: the people in the room, and what can be done about each. */

import { ask } from './dialog.js';
import { button, facts, part, t } from './page.js';
import { act, write } from './panel-acts.js';
import { requestPeople } from './service.js';

const LOOK_EVERY_MS = 3000;
const FOR_A_TIME_S = 900;
const rows = new Map();
let watch = null;

/** Begin to look who is there, unless it is being done. */
export function watchPeople() {
  if (!watch) {
    watch = { timer: null };
    look(watch);
  }
}

/** Look no more. */
export function stopPeople() {
  clearTimeout(watch?.timer);
  watch = null;
  render([]);
}

async function look(mine) {
  const people = await requestPeople();
  if (watch === mine) {
    // Without an answer the list stays as it was.
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
    row.part.textContent = described(person);
    part('inside').append(...(row.item.isConnected ? [] : [row.item]));
  }
  part('inside-title').textContent = t('panel.people', { count: people.length });
  button('mute-all').hidden = people.length < 2;
  button('write-all').hidden = people.length < 2;
}

function described(person) {
  const words = [t(`role.${person.role}`)];
  if (person.participant_id === facts.participant) {
    words.push(t('panel.you'));
  } else if (person.moderator) {
    words.push(t('panel.moderates'));
  }
  return words.join(' · ');
}

function makeRow(person) {
  const [item, who, name, role] = ['li', 'div', 'strong', 'span'].map((tag) => document.createElement(tag));
  who.className = 'name';
  name.textContent = person.display_name;
  role.className = 'soft';
  who.append(name, role);
  item.append(who);
  if (person.participant_id !== facts.participant) {
    item.append(...makeButtons(person));
  }
  rows.set(person.participant_id, { item, part: role });
  return rows.get(person.participant_id);
}

function forget(id) {
  const { item } = rows.get(id);
  const held = item.contains(document.activeElement);
  item.remove();
  rows.delete(id);
  if (held) {
    part('inside-title').focus({ preventScroll: true });
  }
}

/** The one that is wanted most often, and a button that shows the others. */
function makeButtons(person) {
  const { display_name: name, participant_id } = person;
  const named = { participant_id };
  const mute = makeButton('mute', t('panel.mute'), t('panel.mute-name', { name }));
  const more = makeButton('more', t('panel.more'), t('panel.more-name', { name }));
  const rest = document.createElement('div');
  const unmute = makeButton('ask', t('panel.ask'), t('panel.ask-name', { name }));
  const message = makeButton('write', t('panel.write'), t('panel.write-name', { name }));
  const remove = makeButton('remove', t('panel.remove'), t('panel.remove-name', { name }));
  rest.className = 'rest';
  rest.hidden = true;
  rest.append(unmute, message, remove);
  more.setAttribute('aria-expanded', 'false');
  more.addEventListener('click', () => {
    rest.hidden = !rest.hidden;
    more.setAttribute('aria-expanded', String(!rest.hidden));
  });
  mute.addEventListener('click', () => act(mute, 'mute', named, t('panel.muted', { name })));
  unmute.addEventListener('click', () => act(unmute, 'unmute-request', named, t('panel.asked', { name })));
  message.addEventListener('click', () => write(person));
  remove.addEventListener('click', () => takeOut(person, remove));
  return [mute, more, rest];
}

function makeButton(does, text, name) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = 'small';
  element.dataset.testid = does;
  element.textContent = text;
  element.setAttribute('aria-label', name);
  return element;
}

async function takeOut(person, pressed) {
  const { display_name: name, participant_id } = person;
  const answer = await ask({
    title: t('panel.remove-title', { name }),
    text: t('panel.remove-text'),
    yes: t('panel.remove'),
    choice: { legend: t('panel.how-long'), options: [['', t('panel.for-good')], ['time', t('panel.for-a-time')]] },
  });
  if (answer) {
    const time = answer.choice ? { ban_s: FOR_A_TIME_S } : {};
    await act(pressed, 'remove', { participant_id, ...time }, t('panel.removed', { name }));
  }
}
