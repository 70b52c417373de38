/** What a reload of this tab must know: that this person was in the call, and with which devices. */

import { facts } from './page.js';

const KEY = 'teleconsult.call';

/** Remember the devices of a running call; no link code, no name. */
export function remember(wishes) {
  attempt(() => sessionStorage.setItem(KEY, JSON.stringify({ participant: facts.participant, wishes })));
}

/** Give back the devices of the call this tab was in before the reload, or null. */
export function recall() {
  const kept = attempt(() => JSON.parse(sessionStorage.getItem(KEY)));
  return kept?.participant === facts.participant ? kept.wishes : null;
}

export function forget() {
  attempt(() => sessionStorage.removeItem(KEY));
}

/** Storage can be switched off in a browser; then a reload simply asks for the click again. */
function attempt(work) {
  try {
    return work();
  } catch {
    return null;
  }
}
