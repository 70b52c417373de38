/** The page behind a playback link: a press begins, and from then on there is a player. */

import { button, part, t } from './page.js';
import { startPlayer } from './playback-player.js';
import { localiseTimes } from './times.js';
import './trace.js';
import { showNotice } from './views.js';

// Problem codes of the API -> states of this page.
export const ENDS = {
  playback_link_unknown: 'playback-unknown',
  playback_expired: 'playback-expired',
  playback_revoked: 'playback-revoked',
  playback_used_up: 'playback-used-up',
  playback_view_over: 'playback-over',
  ticket_unknown: 'playback-over',
  recording_deleted: 'playback-deleted',
  playback_shut: 'playback-shut',
  not_permitted: 'playback-not-yours',
};

// Of this tab: a press whose answer was lost, and one after a reload, are the same press.
const PRESS = 'teleconsult.press';

localiseTimes();
const pressId = pressOfThisTab();
button('watch').addEventListener('click', begin);

function pressOfThisTab() {
  const made = crypto.randomUUID();
  try {
    const kept = sessionStorage.getItem(PRESS) ?? made;
    sessionStorage.setItem(PRESS, kept);
    return kept;
  } catch {  // storage is switched off: then only a reload counts anew
    return made;
  }
}

/** Nothing is counted before this: who opens the page may be a program that reads mail. */
async function begin() {
  button('watch').disabled = true;
  part('playback-problem').textContent = '';
  const view = await requestView();
  button('watch').disabled = false;
  if (view) {
    startPlayer(view, (code) => showNotice(ENDS[code] ?? 'playback-over'));
  }
}

async function requestView() {
  try {
    const here = location.pathname.replace(/\/$/, '');
    const response = await fetch(`${here}/views`, {
      method: 'POST',
      cache: 'no-store',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ press_id: pressId }),
    });
    const body = await response.json();
    if (response.ok) {
      return body;
    }
    if (ENDS[body.code]) {
      showNotice(ENDS[body.code]);
      return null;
    }
  } catch {
    // No network, or a proxy's own page: the person may press again.
  }
  part('playback-problem').textContent = t('playback.failed');
  return null;
}
