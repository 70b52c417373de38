/** The way of one person through this page: welcome, devices, call, and what is said at the end. */

import { startCall } from './call.js';
import { askConsent, startConsentPage } from './consent.js';
import { canCall, tryDevices } from './devices.js';
import { nextState } from './live.js';
import { forget, recall, remember } from './memory.js';
import { button, facts, part, t } from './page.js';
import { showQueue, updateQueue } from './queue.js';
import { prepareRoom, room } from './room.js';
import { requestState } from './service.js';
import { countDown, localiseTimes } from './times.js';
import { announce, showCall, showLobby, showNotice, whileShown } from './views.js';
import { stayAwake } from './wakefulness.js';

const OPENING_POLL_MS = 2000;
const DENIED_POLL_MS = 5000;
const BOTH = { audio: true, video: true };
const SOUND = { audio: true, video: false };
const NOTHING = { audio: false, video: false };
// States at whose page the person can do something, and what.
const WAYS_ON = {
  left: 'enter-again',
  'room-full': 'try-again',
  'already-connected': 'move-here',
  replaced: 'move-here',
};
let telling = '';
let asked = false;

/** Begin where the server says this visit stands. */
export function startVisit() {
  localiseTimes();
  prepareRoom();
  button('enter').addEventListener('click', begin);
  const { state } = document.body.dataset;
  const kept = recall();
  if (state === 'consent') {
    startConsentPage();
  } else if (!canCall()) {
    showNotice('unsupported');
  } else if (state === 'too-early') {
    waitForOpening();
  } else if (state === 'denied') {
    forget();
    stayDenied();
  } else if (state === 'lobby' && kept) {
    // A reload in the middle of a call: the click was made before it.
    call(kept);
  } else if (state !== 'lobby') {
    forget();
  }
}

function waitForOpening() {
  showNotice('too-early');
  if (facts.opensAt) {
    countDown(facts.opensAt, pollOpening);
  } else {
    pollOpening();
  }
}

async function pollOpening() {
  let answer = await requestState();
  while (isClosed(answer)) {
    answer = await nextState(OPENING_POLL_MS);
  }
  if (answer.kind === 'final') {
    conclude(answer.state);
  } else {
    showLobby();
  }
}

const isClosed = ({ kind, reason }) => kind === 'unreachable' || (kind === 'waiting' && reason === 'too-early');

/** Who is to be asked if they may be recorded is asked first; either answer leads on. */
async function begin() {
  if (facts.isAsked && !asked) {
    await askConsent();
    asked = true;
  }
  enter(BOTH);
}

/** Try the devices first, so that a refusal is explained before anybody is called. */
async function enter(devices) {
  showNotice('devices');
  if (await tryDevices(devices)) {
    call({ ...devices, muted: { audio: !devices.audio, video: !devices.video } });
    return;
  }
  showNotice('devices-refused', {
    'try-again': () => enter(BOTH),
    'sound-only': () => enter(SOUND),
    'listen-only': () => enter(NOTHING),
  });
}

async function call(wishes) {
  telling = '';
  const keep = () => inCall() && remember(wishes);
  const { over } = startCall(wishes, room, (status, more) => tell(status, more, wishes), keep);
  const state = await over;
  forget();
  stayAwake(false);
  const way = WAYS_ON[state];
  conclude(state, way ? { [way]: () => enter({ audio: wishes.audio, video: wishes.video }) } : {});
}

function conclude(state, actions = {}) {
  if (state === 'denied') {
    stayDenied();
  } else {
    showNotice(state, actions);
  }
}

/** Show what the person was told. They may be let in after all: then the page begins again. */
function stayDenied() {
  showNotice('denied');
  announce(t('state.denied.text'));
  let timer = null;
  whileShown(() => clearTimeout(timer));
  const look = async () => {
    const answer = await requestState();
    if (document.body.dataset.state !== 'denied') {
      return;
    }
    if (answer.kind === 'final' && answer.state !== 'denied') {
      showNotice(answer.state);
    } else if (answer.kind === 'enter' || answer.kind === 'waiting') {
      location.reload();
    } else {
      quote(answer.message);
      timer = setTimeout(look, DENIED_POLL_MS);
    }
  };
  look();
}

function quote(message) {
  if (message && part('message').textContent !== message) {
    part('message').textContent = message;
    part('message').hidden = false;
    announce(message);
  }
}

/** The call is being recorded. Who agrees is let in by the next answer; who does not waits. */
async function askAtTheDoor() {
  const said = await askConsent();
  if (said === 'refused') {
    showNotice('consent-wait', { 'answer-again': askAtTheDoor });
  } else {
    showNotice('connecting');
  }
}

const inCall = () => document.body.dataset.state === 'in-call';

/** Show how the entry goes. A status told twice changes nothing, so nobody's focus jumps at each poll. */
function tell(status, more, wishes) {
  if (status === 'in-call') {
    remember(wishes);
    stayAwake(true);
  }
  if (status === telling) {
    if (status === 'queue') {
      updateQueue(more?.place);
    }
    return;
  }
  telling = status;
  if (status === 'queue') {
    showQueue(more?.place);
    return;
  }
  if (status === 'in-call' || status === 'reconnecting') {
    showCall();
    room.connection(status === 'in-call' ? 'good' : 'reconnecting');
    return;
  }
  if (status === 'consent') {
    askAtTheDoor();
    return;
  }
  showNotice(status);
  announce(t(`state.${status}.text`));
  if (status === 'too-early' && more?.opensAt) {
    countDown(more.opensAt, () => {});
  }
}
