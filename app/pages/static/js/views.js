/** One view at a time: the welcome, a notice with what to do, or the call. */

import { part, t } from './page.js';
import { expose, note } from './trace.js';

const views = [...document.querySelectorAll('[data-view]')];
let clear = () => {};

const ACTIONS = {
  'try-again': 'action.try-again',
  'enter-again': 'action.enter-again',
  'move-here': 'action.move-here',
  'sound-only': 'action.sound-only',
  'listen-only': 'action.listen-only',
  'answer-again': 'action.answer-again',
};

/**
 * Show a calm page for `state`.
 *
 * @param {string} state one of the states in `app/pages/view.py`; its texts exist in every language.
 * @param {Object<string, Function>} actions what its buttons do, first is the main one; keys of ACTIONS.
 */
export function showNotice(state, actions = {}) {
  const title = t(`state.${state}.title`);
  document.getElementById('notice-title').textContent = title;
  part('text').textContent = t(`state.${state}.text`);
  ['countdown', 'queue', 'message'].forEach((name) => { part(name).hidden = true; });
  part('actions').replaceChildren(...Object.entries(actions).map(actionButton));
  document.title = title;
  show(state, 'notice');
}

/** Show the welcome with its one button. */
export function showLobby() {
  document.title = t('page.title');
  show('lobby', 'lobby');
}

/** Show the question whether this person may be recorded. */
export function showConsent() {
  document.title = t('consent.title');
  show('consent', 'consent');
}

/** Show the call itself. */
export function showCall() {
  document.title = t('call.title');
  show('in-call', 'call');
}

/** Show the player of a recording. */
export function showPlayer() {
  document.title = t('playback.title');
  show('player', 'player');
}

/** Run `undo` when the present view is left: timers that belong to it. */
export function whileShown(undo) {
  clear = undo;
}

/** Say something to screen readers without moving anybody's focus. */
export function announce(text) {
  part('live').textContent = text;
}

function show(state, name) {
  clear();
  clear = () => {};
  const same = document.body.dataset.state === state;
  document.body.dataset.state = state;
  expose({ state });
  note('state', { state });
  for (const view of views) {
    view.hidden = view.dataset.view !== name;
  }
  if (!same) {
    // The heading gets the focus, so a screen reader reads the new view from its top.
    views.find((view) => !view.hidden).querySelector('h1').focus({ preventScroll: true });
    window.scrollTo(0, 0);
  }
}

function actionButton([name, act], index) {
  const element = document.createElement('button');
  element.type = 'button';
  element.className = index === 0 ? 'primary' : 'secondary';
  element.dataset.action = name;
  element.dataset.testid = name;
  element.textContent = t(ACTIONS[name]);
  element.addEventListener('click', act, { once: true });
  return element;
}
