/** What moderators have beside the picture: who waits, who is there, a message, the end. */

import { ask, dismiss, prepareDialog } from './dialog.js';
import { button, part, t } from './page.js';
import { act, say, write } from './panel-acts.js';
import { onRecording } from './recording.js';
import { stopPeople, watchPeople } from './panel-people.js';
import { stopWaiting, watchWaiting } from './panel-waiting.js';

const LONGEST_REASON = 200;
let wired = false;
let recording = false;

/** Offer the panel to somebody with these permissions. */
export function startPanel(permissions) {
  if (!wired) {
    wired = true;
    wire();
  }
  document.body.dataset.moderates = 'yes';
  button('panel').hidden = false;
  button('end').hidden = !permissions.includes('end_session');
  button('record').hidden = !permissions.includes('request_recording');
  onRecording(renderRecord);
  watchWaiting();
}

/** Take it away again. */
export function stopPanel() {
  dismiss();
  show(false);
  stopWaiting();
  button('panel').hidden = true;
  delete document.body.dataset.moderates;
}

function wire() {
  prepareDialog();
  button('panel').addEventListener('click', () => toggle(!isOpen()));
  button('panel-close').addEventListener('click', () => toggle(false));
  part('panel').addEventListener('keydown', ({ key }) => key === 'Escape' && isOpen() && toggle(false));
  button('mute-all').addEventListener('click', () => act(button('mute-all'), 'mute-all', {}, t('panel.muted-all')));
  button('write-all').addEventListener('click', () => write(null));
  button('end').addEventListener('click', end);
  button('record').addEventListener('click', record);
}

const isOpen = () => button('panel').getAttribute('aria-expanded') === 'true';

function toggle(open) {
  show(open);
  (open ? part('panel-title') : button('panel')).focus({ preventScroll: true });
}

function show(open) {
  button('panel').setAttribute('aria-expanded', String(open));
  document.body.toggleAttribute('data-panel', open);
  part('panel-top').hidden = !open;
  part('panel-more').hidden = !open;
  say('');
  if (open) {
    watchPeople();
  } else {
    stopPeople();
  }
}

function renderRecord(isLive) {
  recording = isLive;
  button('record').textContent = t(isLive ? 'panel.record-stop' : 'panel.record');
}

function record() {
  if (recording) {
    act(button('record'), 'stop-recording', {}, t('panel.record-stopped'));
  } else {
    act(button('record'), 'record', { ask_first: true }, t('panel.record-asked'));
  }
}

async function end() {
  const answer = await ask({
    title: t('panel.end-title'),
    text: t('panel.end-text'),
    yes: t('panel.end'),
    field: { label: t('panel.reason'), longest: LONGEST_REASON, required: false },
  });
  if (answer) {
    // Nothing to say when it worked: the page then shows that it is over.
    act(button('end'), 'end', { reason: answer.words }, '');
  }
}
