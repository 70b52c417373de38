/** One question at a time, over the page: what will happen, perhaps a few words or a choice, and two buttons. */

import { part } from './page.js';

let settle = () => {};
let wired = false;

/**
 * Ask, and wait for the answer.
 *
 * @param {object} question
 * @param {string} question.title
 * @param {string} question.text what will happen.
 * @param {string} question.yes what the button that does it says.
 * @param {{label: string, longest: number, required: boolean}} [question.field] words to type.
 * @param {{legend: string, options: Array<[string, string]>}} [question.choice] values and what they are called; the first is chosen.
 * @returns {Promise<?{words: string, choice: string}>} nothing when the person would rather not.
 */
export function ask({ title, text, yes, field, choice }) {
  part('dialog-title').textContent = title;
  part('dialog-text').textContent = text;
  part('dialog-yes').textContent = yes;
  showField(field);
  showChoice(choice);
  open(part('dialog'));
  // The way back is the first thing at hand, unless there is something to write.
  part(field ? 'dialog-input' : 'dialog-no').focus();
  return new Promise((resolve) => { settle = resolve; });
}

/** Take an open question away, as if answered with no. */
export const dismiss = () => answer(null);

/** Wire the dialog of the page; a second time changes nothing. */
export function prepareDialog() {
  if (wired) {
    return;
  }
  wired = true;
  part('dialog-form').addEventListener('submit', (event) => {
    event.preventDefault();
    const chosen = part('dialog-form').querySelector('input:checked');
    answer({ words: part('dialog-input').value.trim(), choice: chosen ? chosen.value : '' });
  });
  part('dialog-no').addEventListener('click', dismiss);
  part('dialog').addEventListener('cancel', (event) => {
    event.preventDefault();
    dismiss();
  });
}

function answer(result) {
  close(part('dialog'));
  settle(result);
}

function showField(field) {
  const input = part('dialog-input');
  part('dialog-field').hidden = !field;
  part('dialog-label').textContent = field?.label ?? '';
  input.value = '';
  input.required = Boolean(field?.required);
  input.maxLength = field?.longest ?? 1;
}

function showChoice(choice) {
  part('dialog-choice').hidden = !choice;
  part('dialog-legend').textContent = choice?.legend ?? '';
  part('dialog-options').replaceChildren(...(choice?.options ?? []).map(([value, name], index) => {
    const [label, input] = ['label', 'input'].map((tag) => document.createElement(tag));
    Object.assign(input, { type: 'radio', name: 'choice', value, checked: index === 0 });
    label.append(input, name);
    return label;
  }));
}

// Browsers of a few years ago know no dialogs: there it is a box on the page.
function open(dialog) {
  if (dialog.showModal) {
    dialog.showModal();
  } else {
    dialog.setAttribute('open', '');
  }
}

function close(dialog) {
  if (!dialog.close) {
    dialog.removeAttribute('open');
  } else if (dialog.open) {
    dialog.close();
  }
}
