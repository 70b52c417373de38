/** The questions this page asks its server, and the few kinds of answer they have. */

export const here = location.pathname.replace(/(\/consent)?\/?$/, '');
const PATIENCE_MS = 8000;
// Problem codes of the API -> states of this page.
const FINAL = {
  session_ended: 'ended',
  session_cancelled: 'cancelled',
  participant_removed: 'removed',
  participant_denied: 'denied',
  link_revoked: 'link-revoked',
  link_expired: 'link-expired',
  link_unknown: 'link-unknown',
};

// What `/state` gives as the reason, when waiting does not help.
const BARRIERS = {
  denied: 'denied',
  removed: 'removed',
  'session-ended': 'ended',
  'session-cancelled': 'cancelled',
  'link-revoked': 'link-revoked',
  'link-expired': 'link-expired',
};

/**
 * Exchange the link for a fresh token.
 * @returns {Promise<{kind: 'ready', grant: object} | {kind: 'waiting', reason: string, opensAt: ?string, place: ?object, pollMs: number}
 *   | {kind: 'final', state: string} | {kind: 'unreachable'}>}
 */
export async function requestGrant() {
  const answer = await ask('/token', { method: 'POST', headers: { 'content-type': 'application/json' }, body: '{}' });
  if (answer.kind !== 'ok') {
    return answer;
  }
  const { body } = answer;
  return body.state === 'ready'
    ? { kind: 'ready', grant: body }
    : { kind: 'waiting', reason: body.reason, opensAt: body.opens_at, place: body.waiting, pollMs: (body.poll_s ?? 2) * 1000 };
}

/**
 * Ask where the session and this person stand.
 * @returns {Promise<{kind: 'enter'} | {kind: 'waiting', reason: string, place: ?object}
 *   | {kind: 'final', state: string, message: ?string} | {kind: 'unreachable'}>}
 */
export async function requestState() {
  const answer = await ask('/state', {});
  if (answer.kind !== 'ok') {
    return answer;
  }
  return answerOf(answer.body);
}

/** What the state of a visit, asked for or pushed, means to this page. */
export function answerOf(body) {
  const { recording } = body;
  const state = BARRIERS[body.reason];
  if (state) {
    return { kind: 'final', state, message: body.message };
  }
  return body.may_enter ? { kind: 'enter', recording } : { kind: 'waiting', reason: body.reason, place: body.waiting, recording };
}

/** Ask who waits to be let in; gives nothing when there is no answer. For moderators. */
export async function requestWaiting() {
  const answer = await ask('/waiting', {});
  return answer.kind === 'ok' ? answer.body.items : null;
}

/** Let somebody in; tells whether it was done. For moderators. */
export async function admit(participantId) {
  const answer = await ask(`/waiting/${participantId}/admit`, { method: 'POST' });
  return answer.kind === 'ok';
}

/** Do not let somebody in, and tell them `message`; tells whether it was done. For moderators. */
export const deny = (participantId, message) => send(`/waiting/${participantId}/deny`, { message });

/** Let in who has waited longest; tells whether it was done. For moderators. */
export const admitNext = () => send('/waiting/admit-next', {});

/** Ask who is in the room; gives nothing when there is no answer. For moderators. */
export async function requestPeople() {
  const answer = await ask('/people', {});
  return answer.kind === 'ok' ? answer.body.people : null;
}

/** Read the question whether this person may be recorded; gives nothing when there is no answer. */
export async function requestConsent(language, channel) {
  const answer = await ask(`/consents?language=${language}&channel=${channel}`, {});
  return answer.kind === 'ok' ? answer.body : null;
}

/** Say what this person answers to the text they were shown; tells whether it was noted. */
export const answerConsent = (act, sha, channel) => send('/consents', { act, text_sha256: sha, channel });

/** Do what a moderator wants in the room: `name` as in `/j/{code}/controls/{name}`. Gives the answer, or nothing. */
export const control = (name, body) => send(`/controls/${name}`, body);

/** Ask which files there are, and what may be shared; gives nothing when there is no answer. */
export async function requestFiles() {
  const answer = await ask('/files', {});
  return answer.kind === 'ok' ? answer.body : null;
}

/** Announce a file whose bytes come next; gives it with `upload_url`, or nothing. */
export const announceFile = (file) => send('/files', file);

/** Where this person gets the bytes of a file for a few minutes, on this very server; or nothing. */
export async function requestFileLink(id, what) {
  const link = await send(`/files/${id}/link`, what);
  return link && new URL(link.url).pathname;
}

/** Delete a file for good; tells whether it was done. */
export async function removeFile(id) {
  const answer = await ask(`/files/${id}`, { method: 'DELETE' });
  return answer.kind === 'ok';
}

async function send(path, body) {
  const answer = await ask(path, { method: 'POST', headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) });
  return answer.kind === 'ok' ? answer.body : null;
}

async function ask(path, options) {
  try {
    const response = await fetch(here + path, { ...options, cache: 'no-store', signal: timeLimit() });
    const body = await response.json();
    if (response.ok) {
      return { kind: 'ok', body };
    }
    const state = FINAL[body.code];
    return state ? { kind: 'final', state } : { kind: 'unreachable' };
  } catch {
    // No network, a restart, or a proxy's own error page: all the same to the person, all worth another try.
    return { kind: 'unreachable' };
  }
}

function timeLimit() {
  // AbortSignal.timeout is younger than some phones we serve.
  const controller = new AbortController();
  setTimeout(() => controller.abort(), PATIENCE_MS);
  return controller.signal;
}
