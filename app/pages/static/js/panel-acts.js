/** Doing something as a moderator, and saying how it went. */

import { ask } from './dialog.js';
import { part, t } from './page.js';
import { control } from './service.js';
import { announce } from './views.js';

const LONGEST_MESSAGE = 1000;

/** Say something in the panel; it is read out, too. */
export function say(text) {
  part('panel-said').textContent = text;
  if (text) {
    announce(text);
  }
}

/**
 * Do `name` (see `control`) for a press of `pressed`, and say `done` when it worked.
 * The button takes no second press meanwhile, and keeps the focus.
 */
export async function act(pressed, name, body, done) {
  const answer = await once(pressed, () => control(name, body));
  if (answer !== undefined) {
    say(answer ? done : t('panel.failed'));
  }
  return answer;
}

/** Run `work` for a press of a button; nothing when it still does the former one. */
export async function once(pressed, work) {
  if (pressed.getAttribute('aria-disabled') === 'true') {
    return undefined;
  }
  // Not disabled: that would take the focus from whoever works with keys alone.
  pressed.setAttribute('aria-disabled', 'true');
  try {
    return await work();
  } finally {
    pressed.removeAttribute('aria-disabled');
  }
}

/** Write into the room: to `person`, or to everybody. */
export async function write(person) {
  const answer = await ask({
    title: person ? t('panel.write-name', { name: person.display_name }) : t('panel.write-all'),
    text: t('panel.write-text'),
    yes: t('panel.send'),
    field: { label: t('dialog.words'), longest: LONGEST_MESSAGE, required: true },
  });
  if (!answer?.words) {
    return;
  }
  const only = person ? { participant_id: person.participant_id } : {};
  const sent = await control('message', { text: answer.words, ...only });
  say(sent?.delivered ? t('panel.delivered', { count: sent.delivered }) : t('panel.not-delivered'));
}
