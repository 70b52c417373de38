/** The two questions this page asks its server, and the few kinds of answer they have. */

export const here = location.pathname.replace(/\/$/, '');
const PATIENCE_MS = 8000;
// Problem codes of the API -> states of this page.
const FINAL = {
  session_ended: 'ended',
  session_cancelled: 'cancelled',
  participant_removed: 'removed',
  link_revoked: 'link-revoked',
  link_expired: 'link-expired',
  link_unknown: 'link-unknown',
};

// What `/state` gives as the reason, when waiting does not help.
const BARRIERS = {
  removed: 'removed',
  'session-ended': 'ended',
  'session-cancelled': 'cancelled',
  'link-revoked': 'link-revoked',
  'link-expired': 'link-expired',
};

/**
 * Exchange the link for a fresh token.
 * @returns {Promise<{kind: 'ready', grant: object} | {kind: 'waiting', reason: string, opensAt: ?string, pollMs: number}
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
    : { kind: 'waiting', reason: body.reason, opensAt: body.opens_at, pollMs: (body.poll_s ?? 2) * 1000 };
}

/**
 * Ask where the session and this person stand.
 * @returns {Promise<{kind: 'enter'} | {kind: 'waiting', reason: string} | {kind: 'final', state: string} | {kind: 'unreachable'}>}
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
  const state = BARRIERS[body.reason];
  if (state) {
    return { kind: 'final', state };
  }
  return body.may_enter ? { kind: 'enter' } : { kind: 'waiting', reason: body.reason };
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
