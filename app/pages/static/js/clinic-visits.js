/** One row per visit: when, who, how it stands, and the next thing to do. */

import { makePeople } from './clinic-people.js';
import { startVisit } from './clinic-service.js';
import { notes, planned, standing } from './clinic-words.js';
import { element, makeButton, once, tell } from './clinic-acts.js';
import { facts, part, t } from './page.js';
import { announce } from './views.js';

const START_FROM = ['scheduled', 'arrived'];
const rows = new Map();

/** Show a day. Rows stay the same elements, so that nobody's focus jumps while they are brought up to date. */
export function renderVisits(day, refresh) {
  const here = new Set(day.items.map((visit) => visit.appointment_id));
  [...rows.keys()].filter((id) => !here.has(id)).forEach((id) => {
    rows.get(id).item.remove();
    rows.delete(id);
  });
  day.items.forEach((visit, index) => {
    const row = rows.get(visit.appointment_id) ?? makeRow(visit, refresh);
    update(row, visit, day);
    if (part('visits').children[index] !== row.item) {
      part('visits').insertBefore(row.item, part('visits').children[index] ?? null);
    }
  });
}

function makeRow(visit, refresh) {
  const name = visit.patient;
  const [when, who, provider, tag, news] = [element('span', 'when'), element('strong', 'patient'), element('span', 'soft'), element('span', 'tag'), element('ul', 'news')];
  const start = makeButton('start', t('clinic.start'), t('clinic.start-name', { name }));
  const more = makeButton('people', t('clinic.people'), t('clinic.people-name', { name }));
  const people = makePeople();
  const item = element('li', 'visit');
  start.classList.add('main');
  provider.textContent = t('clinic.with', { name: visit.provider });
  who.textContent = name;
  more.setAttribute('aria-expanded', 'false');
  more.addEventListener('click', () => {
    people.list.hidden = !people.list.hidden;
    more.setAttribute('aria-expanded', String(!people.list.hidden));
  });
  start.addEventListener('click', () => begin(visit, start, refresh));
  const head = element('div', 'head');
  const does = element('div', 'does');
  head.append(who, provider);
  does.append(start, more);
  item.dataset.testid = 'visit';
  item.append(when, head, tag, does, news, people.list);
  rows.set(visit.appointment_id, { item, when, tag, news, start, more, people, was: null });
  return rows.get(visit.appointment_id);
}

function update(row, visit, day) {
  const { text, tone } = standing(visit);
  row.when.textContent = planned(visit, day.timezone);
  row.tag.textContent = text;
  row.tag.dataset.tone = tone;
  const sentences = notes(visit, day);
  row.news.hidden = sentences.length === 0;
  row.news.replaceChildren(...sentences.map((sentence) => {
    const item = document.createElement('li');
    item.textContent = sentence;
    return item;
  }));
  const startable = START_FROM.includes(visit.status) && facts.scopes.includes('visits:write');
  if (!startable && row.start === document.activeElement) {
    row.more.focus({ preventScroll: true });
  }
  row.start.hidden = !startable;
  row.people.update(visit);
  // Said when it changes; not at first, and not the minutes that pass.
  if (row.was !== null && row.was !== tone + visit.status && tone !== 'calm') {
    announce(`${visit.patient}: ${text}`);
  }
  row.was = tone + visit.status;
}

async function begin(visit, start, refresh) {
  const answer = await once(start, () => startVisit(visit));
  tell(answer, t('clinic.started', { name: visit.patient }));
  refresh();
}
