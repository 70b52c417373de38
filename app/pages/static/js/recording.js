/** The recording as it is seen in the call: the badge, the question, taking one's word back. */

import { button, language, part, t } from './page.js';
import { nextState } from './live.js';
import { answerConsent, requestConsent } from './service.js';
import { note } from './trace.js';

const POLL_MS = 2000;
// How long something that is over stays on the screen.
const OVER_FOR_MS = 12_000;
const LIVE = ['requested', 'starting', 'active', 'stopping'];
const STATES = { starting: 'recording.starting', active: 'recording.on', stopping: 'recording.stopping' };
const WAITS = { consent_missing: 'recording.asking', busy: 'recording.busy' };
const ENDS = { consent_refused: 'recording.refused', consent_withdrawn: 'recording.withdrawn' };

let round = 0;
let wired = false;
let latest = { state: '', reason: null, consent: 'missing', is_asked: false };
let sha = '';
let asking = false;
let clearing = 0;
let whenChanged = () => {};

/** Follow the recording until `stopWatching`. */
export async function watchRecording() {
  wire();
  round += 1;
  const mine = round;
  while (mine === round) {
    const { recording } = await nextState(POLL_MS);
    if (recording && mine === round) {
      show(recording);
    }
  }
}

/** The call is over. */
export function stopWatching() {
  round += 1;
  part('recording').hidden = true;
}

/** Call `changed` whenever it becomes another; the panel has a button for it. */
export function onRecording(changed) {
  whenChanged = changed;
  changed(isLive());
}

const isLive = () => LIVE.includes(latest.state);

function wire() {
  if (!wired) {
    wired = true;
    button('call-agree').addEventListener('click', () => answer('given'));
    button('call-refuse').addEventListener('click', () => answer('refused'));
    button('withdraw').addEventListener('click', () => answer('withdrawn'));
  }
}

function show(recording) {
  const before = latest;
  latest = recording;
  if (before.state !== recording.state || before.reason !== recording.reason) {
    note('recording', { what: recording.state, why: recording.reason });
    // What was over before we came is no news, and what becomes of its file is none in the call.
    if (isLive() || LIVE.includes(before.state)) {
      tell(sentence());
    }
    whenChanged(isLive());
  }
  document.body.dataset.recording = recording.state === 'active' ? 'on' : '';
  ask(recording.is_asked && isLive());
  const recorded = recording.state === 'starting' || recording.state === 'active';
  button('withdraw').hidden = !(recorded && recording.consent === 'given');
}

/** What there is to say. */
function sentence() {
  const { state, reason } = latest;
  if (state === 'requested') {
    return t(WAITS[reason] ?? 'recording.waiting');
  }
  if (state in STATES) {
    return t(STATES[state]);
  }
  return t(ENDS[reason] ?? (state === 'failed' ? 'recording.failed' : 'recording.over'));
}

function tell(text) {
  clearTimeout(clearing);
  part('recording-state').textContent = text;
  part('recording').hidden = !text;
  if (text && !isLive()) {
    clearing = setTimeout(() => { part('recording').hidden = true; }, OVER_FOR_MS);
  }
}

async function ask(wanted) {
  part('call-question').hidden = !(wanted && sha);
  if (!wanted || sha || asking) {
    return;
  }
  asking = true;
  const question = await requestConsent(language, 'page');
  asking = false;
  if (question) {
    sha = question.sha256;
    part('call-consent-text').textContent = question.text;
    part('call-question').hidden = !latest.is_asked;
  }
}

async function answer(act) {
  const known = sha || (await requestConsent(language, 'page'))?.sha256;
  const done = known && await answerConsent(act, known, 'page');
  // If the text was replaced just now, the new one is read next.
  sha = '';
  if (done) {
    show({ ...latest, consent: act, is_asked: false });
  } else {
    tell(t('consent.failed'));
  }
}
