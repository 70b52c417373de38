/** Small parts of the clinic's page: elements, buttons that act once, and saying how it went. */

import { part, t } from './page.js';
import { announce } from './views.js';

/** An element of a class. */
export function element(tag, className) {
  const made = document.createElement(tag);
  made.className = className;
  return made;
}

/** A button; `name` is what it is called where its neighbours say the same. */
export function makeButton(does, text, name) {
  const made = element('button', 'small');
  made.type = 'button';
  made.dataset.testid = does;
  made.textContent = text;
  made.setAttribute('aria-label', name);
  return made;
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

/** Say something, to eyes and ears. */
export function say(text) {
  part('said').textContent = text;
  part('said').hidden = !text;
  announce(text);
}

/** Say how it went. */
export function tell(answer, done) {
  if (answer) {
    say(answer.kind === 'ok' ? done : t('clinic.failed'));
  }
}
