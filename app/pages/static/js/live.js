/** The state of this visit as it changes: pushed where the server can, else asked for in turns. */

import { facts } from './page.js';
import { answerOf, here, requestState } from './service.js';

// While the stream is open nothing should be missed; asked all the same now and then.
const TRUST_MS = 30_000;
// Nobody waits any more: the connection is given back.
const IDLE_MS = 5000;
let source = null;
let latest = null;
let wake = () => {};
let idle = 0;

/**
 * Wait for the next state of this visit.
 * @param {number} pollMs how long to wait before asking, where nothing is pushed.
 * @returns {Promise<object>} as `requestState` gives it.
 */
export async function nextState(pollMs) {
  clearTimeout(idle);
  listen();
  const pushed = latest ?? await new Promise((resolve) => {
    wake = resolve;
    setTimeout(resolve, source?.readyState === 1 ? TRUST_MS : pollMs);
  });
  latest = null;
  idle = setTimeout(stop, IDLE_MS);
  return pushed ? answerOf(pushed) : requestState();
}

function listen() {
  if (!facts.streamUrl || typeof EventSource !== 'function' || (source && source.readyState !== 2)) {
    return;
  }
  source = new EventSource(`${facts.streamUrl}/stream${here}`);
  source.addEventListener('state', ({ data }) => {
    latest = JSON.parse(data);
    wake(latest);
  });
  // It tries again by itself; meanwhile the page asks.
  source.addEventListener('error', () => wake());
}

function stop() {
  source?.close();
  source = null;
  latest = null;
}
