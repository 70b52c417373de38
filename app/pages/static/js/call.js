/**
 * One visit to the room, across as many meetings as it takes: enters, and after a lost connection
 * enters again with a new token, until the person leaves or the service says that it is over.
 */

import { makeBackoff } from './backoff.js';
import { nextState } from './live.js';
import { openMeeting } from './meeting.js';
import { isStill, retire } from './retire.js';
import { requestGrant, requestState } from './service.js';
import { expose, note } from './trace.js';

const WAIT_POLL_MS = 2000;
const ENTRY_PATIENCE_MS = 20_000;
const ENDINGS = ['left', 'kicked', 'ended', 'refused', 'failed'];
// Admission codes -> states that end the visit.
const REFUSED_FOR_GOOD = {
  removed: 'removed',
  banned: 'removed',
  denied: 'denied',
  'link-revoked': 'link-revoked',
  'session-ended': 'ended',
  'session-cancelled': 'cancelled',
};
// Reasons to wait -> states; for any other there is the general one.
const WAITS = { 'too-early': 'too-early', 'not-admitted': 'queue', 'consent-missing': 'consent' };
// These end the visit only at the first entry: after a lost connection the place may just not be free yet.
const REFUSED_AT_THE_DOOR = { full: 'room-full', 'already-connected': 'already-connected' };

/**
 * Be in the room until it is over.
 *
 * @param {object} wishes {audio, video, muted}: which devices to use; kept up to date, so a rejoin looks the same.
 * @param {object} room the call view (`room.js`).
 * @param {(status: 'connecting'|'unreachable'|'waiting'|'queue'|'too-early'|'in-call'|'reconnecting', more?: object) => void} tell
 * @param {Function} keep called whenever `wishes` has changed.
 * @returns {{over: Promise<string>, leave: Function}} `over` gives the state of the page to show at the end.
 */
export function startCall(wishes, room, tell, keep) {
  const call = { wishes, room, tell, keep, backoff: makeBackoff(), current: null, previous: null, joinedOnce: false };
  const gone = new Promise((resolve) => { call.leave = () => resolve('left'); });
  const over = Promise.race([stay(call), gone]).then((state) => finish(call, state));
  room.control({
    setMicrophone: (on) => onAll(call, (meeting) => meeting.setMicrophone(on)),
    setCamera: (on) => onAll(call, (meeting) => meeting.setCamera(on)),
    setSharing: (on) => call.current?.setSharing(on),
    leave: call.leave,
  });
  return { over, leave: call.leave };
}

async function stay(call) {
  call.tell('connecting');
  for (;;) {
    const answer = await nextGrant(call);
    if (answer.kind === 'final') {
      return answer.state;
    }
    const ending = await attend(call, answer.grant);
    const state = await judge(call, ending);
    if (state) {
      return state;
    }
  }
}

/** Ask for a token until there is one, or a reason why there never will be. */
async function nextGrant(call) {
  for (;;) {
    const answer = call.waiting ? await waitOutside(call) : await requestGrant();
    if (call.done || answer.kind === 'final' || answer.kind === 'ready') {
      return answer;
    }
    if (answer.kind === 'waiting') {
      call.waiting = answer;
    } else if (answer.kind === 'unreachable') {
      tellTrouble(call, 'unreachable');
      await call.backoff.pause();
    }
  }
}

/** Wait for another state while nobody may let us in. */
async function waitOutside(call) {
  await dropWhenStill(call);
  tellTrouble(call, WAITS[call.waiting.reason] ?? 'waiting', call.waiting);
  const answer = await nextState(call.waiting.pollMs ?? WAIT_POLL_MS);
  if (answer.kind === 'enter') {
    call.waiting = null;
  }
  return answer.kind === 'waiting' ? { ...call.waiting, ...answer } : answer;
}

/** Nobody keeps looking at a frozen picture while waiting for the host to come back. */
async function dropWhenStill(call) {
  const { previous } = call;
  if (previous && await isStill(previous, call.seen)) {
    call.previous = null;
    call.room.drop(previous);
    await previous.close();
  }
}

/** Enter one meeting and stay until it ends; gives the ending event. */
async function attend(call, grant) {
  const meeting = await openMeeting(grant, call.room.frame).catch(() => null);
  if (!meeting) {
    return failure('client did not load');
  }
  if (call.done) {
    return { name: 'left' };
  }
  call.current = meeting;
  expose({ meeting });
  follow(call, meeting, grant);
  const ending = nextEnding(meeting);
  meeting.join({ ...call.wishes, muted: { ...call.wishes.muted } }).catch(() => {});
  return Promise.race([ending, tooLong(call, meeting)]);
}

/** Fails a meeting that neither lets us in nor refuses; otherwise it never settles. */
async function tooLong(call, meeting) {
  await pause(ENTRY_PATIENCE_MS);
  const stuck = call.current === meeting && call.entered !== meeting;
  return stuck ? failure('entry took too long') : new Promise(() => {});
}

function nextEnding(meeting) {
  return new Promise((resolve) => {
    ENDINGS.forEach((name) => meeting.on(name, (detail) => resolve({ name, ...detail })));
  });
}

function follow(call, meeting, grant) {
  const { room, wishes } = call;
  room.show(meeting, grant, !call.previous);
  meeting.on('*', (detail, name) => note(name, publicPart(detail)));
  meeting.on('joined', () => whenJoined(call, meeting));
  meeting.on('own-muted', ({ kind, muted }) => {
    wishes.muted[kind] = muted;
    wishes[kind] ||= !muted;
    call.keep();
  });
  meeting.on('role-changed', ({ role, own }) => own && expose({ role }));
}

function whenJoined(call, meeting) {
  call.entered = meeting;
  call.joinedOnce = true;
  call.backoff.reset();
  call.tell('in-call');
  const { previous } = call;
  if (previous) {
    retire(previous, meeting, () => call.current === meeting && call.room.promote(meeting)).then(() => {
      if (call.previous === previous) {
        call.previous = null;
      }
    });
  }
}

/** Decide after an ending: a state when the visit is over, nothing when it goes on with a new token. */
async function judge(call, ending) {
  if (ending.name === 'kicked') {
    return afterKick(ending.reason);
  }
  await putAside(call, ending);
  if (ending.name === 'refused') {
    return afterRefusal(call, ending.code);
  }
  if (ending.name !== 'failed') {
    // The room was closed, or we were put out of it without a word: the service knows which it means.
    const answer = await requestState();
    if (answer.kind === 'final') {
      return answer.state;
    }
    if (ending.wanted) {
      return 'left';
    }
  }
  return again(call);
}

async function afterKick(reason) {
  if (/^replaced\b/.test(reason)) {
    return 'replaced';
  }
  const answer = /^removed\b/.test(reason) ? null : await requestState();
  // Whoever was put out does not come back by themselves, whatever the service thinks.
  return answer?.kind === 'final' ? answer.state : 'removed';
}

async function afterRefusal(call, code) {
  const state = REFUSED_FOR_GOOD[code] ?? (call.joinedOnce ? undefined : REFUSED_AT_THE_DOOR[code]);
  if (state) {
    return state;
  }
  if (code === 'waiting-for-host' || code in WAITS) {
    call.waiting = { reason: code, pollMs: WAIT_POLL_MS };
    return undefined;
  }
  return again(call);
}

async function again(call) {
  tellTrouble(call, 'unreachable');
  await call.backoff.pause();
  return undefined;
}

/** Keep a lost meeting whose media may still run; close every other. */
async function putAside(call, ending) {
  const meeting = call.current;
  call.current = null;
  if (!meeting) {
    return;
  }
  if (ending.name === 'failed' && meeting.keepsMedia && call.entered === meeting && !call.previous) {
    call.previous = meeting;
    call.seen = { bytes: -1, still: 0 };
    return;
  }
  call.room.drop(meeting);
  await meeting.close();
}

/** In a running call a banner over the picture; before it, or when the picture is gone, a page of its own. */
function tellTrouble(call, status, more) {
  const { previous } = call;
  if (call.joinedOnce && (previous || status === 'unreachable')) {
    call.tell('reconnecting');
    return;
  }
  call.tell(status, more);
}

async function finish(call, state) {
  call.done = true;
  const meetings = [call.current, call.previous].filter(Boolean);
  expose({ meeting: null });
  call.room.clear();
  await Promise.all(meetings.map((meeting) => meeting.close()));
  return state;
}

/** A switched-off microphone must be off in an old meeting too, but only the newest may complain. */
async function onAll(call, act) {
  const [newest, ...older] = [call.current, call.previous].filter(Boolean);
  older.forEach((meeting) => act(meeting).catch(() => {}));
  await (newest && act(newest));
}

function failure(why) {
  note('failed', { why });
  return { name: 'failed', why };
}

function publicPart({ id, kind, role, own, muted, on, allowed, what, why, reason, code, system }) {
  return JSON.parse(JSON.stringify({ id, kind, role, own, muted, on, allowed, what, why, reason, code, system }));
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
