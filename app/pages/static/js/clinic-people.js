/** The people of one visit: an invitation once more, or a new link to pass on. */

import { element, makeButton, once, say, tell } from './clinic-acts.js';
import { replaceLink, sendAgain } from './clinic-service.js';
import { ask } from './dialog.js';
import { facts, t } from './page.js';

const OVER = ['completed', 'cancelled', 'no_show'];

/** Return the list, and what brings it up to date. */
export function makePeople() {
  const list = element('ul', 'folk');
  const rows = new Map();
  list.hidden = true;
  list.dataset.testid = 'folk';
  return {
    list,
    update(visit) {
      const here = new Set(visit.people.map((person) => person.participant_id));
      [...rows.keys()].filter((id) => !here.has(id)).forEach((id) => {
        rows.get(id).item.remove();
        rows.delete(id);
      });
      for (const person of visit.people) {
        const row = rows.get(person.participant_id) ?? makeRow(visit, person);
        rows.set(person.participant_id, row);
        const over = OVER.includes(visit.status);
        row.again.hidden = over || !facts.scopes.includes('notifications:manage');
        // A new link would put somebody out who is in the room.
        row.fresh.hidden = over || person.inside || !facts.scopes.includes('participants:write');
        if (!row.item.isConnected) {
          list.append(row.item);
        }
      }
    },
  };
}

function makeRow(visit, person) {
  const name = person.display_name;
  const [item, who, role, link] = [element('li', ''), element('strong', ''), element('span', 'soft'), element('div', 'link')];
  const again = makeButton('send-again', t('clinic.send-again'), t('clinic.send-again-name', { name }));
  const fresh = makeButton('new-link', t('clinic.new-link'), t('clinic.new-link-name', { name }));
  who.textContent = name;
  role.textContent = t(`role.${person.role}`);
  link.hidden = true;
  again.addEventListener('click', () => invite(visit, person, again));
  fresh.addEventListener('click', () => renew(visit, person, fresh, link));
  item.append(who, role, again, fresh, link);
  return { item, again, fresh };
}

async function invite(visit, person, pressed) {
  const name = person.display_name;
  const answer = await once(pressed, () => sendAgain(visit, person));
  if (answer?.code === 'participant_unreachable') {
    say(t('clinic.not-reachable', { name }));
  } else {
    tell(answer, t('clinic.sent', { name }));
  }
}

async function renew(visit, person, pressed, place) {
  const name = person.display_name;
  const sure = await ask({ title: t('clinic.new-link-title', { name }), text: t('clinic.new-link-text'), yes: t('clinic.new-link') });
  if (!sure) {
    return;
  }
  const answer = await once(pressed, () => replaceLink(visit, person));
  if (answer?.kind === 'ok') {
    show(place, answer.body.link, name);
  } else {
    tell(answer, '');
  }
}

function show(place, address, name) {
  const field = element('input', '');
  const copy = makeButton('copy', t('clinic.copy'), t('clinic.copy-name', { name }));
  Object.assign(field, { type: 'text', readOnly: true, value: address });
  field.dataset.testid = 'link';
  field.setAttribute('aria-label', t('clinic.link-of', { name }));
  copy.addEventListener('click', async () => {
    field.select();
    try {
      await navigator.clipboard.writeText(address);
      say(t('clinic.copied', { name }));
    } catch {
      say(t('clinic.not-copied'));
    }
  });
  place.replaceChildren(field, copy);
  place.hidden = false;
  copy.focus();
}
