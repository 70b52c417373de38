/** When the clinic's page looks again: rung for where the server can, else in turns. */

import { facts } from './page.js';

const LOOK_EVERY_MS = 15_000;
// While the stream is open nothing should be missed; minutes pass all the same.
const TRUST_MS = 60_000;
// Desks that are rung for together need not all ask at once.
const SPREAD_MS = 400;
// Where the cookie does not reach the stream, or too many listen, it is no use to insist.
const REST_MS = 120_000;
let source = null;
let opened = -Infinity;
let timer = null;
let look = () => {};

/** Call `again` when it is time. Nothing happens before `lookLater`. */
export function onNews(again) {
  look = again;
}

/** Wait for news, or for the next turn; of a page that nobody sees, for nothing. */
export function lookLater() {
  clearTimeout(timer);
  if (document.hidden) {
    stop();
    return;
  }
  listen();
  timer = setTimeout(look, source?.readyState === 1 ? TRUST_MS : LOOK_EVERY_MS);
}

function listen() {
  const isOver = !source || source.readyState === 2;
  if (!facts.streamUrl || typeof EventSource !== 'function' || !isOver || performance.now() - opened < REST_MS) {
    return;
  }
  opened = performance.now();
  source = new EventSource(`${facts.streamUrl}/stream/visits`, { withCredentials: true });
  source.addEventListener('changed', () => {
    clearTimeout(timer);
    timer = setTimeout(look, Math.random() * SPREAD_MS);
  });
  // It tries again by itself; meanwhile the page asks in turns.
  source.addEventListener('error', lookLater);
}

function stop() {
  source?.close();
  source = null;
  opened = -Infinity;
}
