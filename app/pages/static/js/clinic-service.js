/** What the clinic's page asks of the API, as the person who is signed in. */

const PATIENCE_MS = 10_000;

/**
 * Ask for the visits of a day; without one, of today. `isPerson` tells whether a person is at the page.
 * @returns {Promise<{kind: 'ok', body: object} | {kind: 'signed-out'} | {kind: 'unreachable'}>}
 */
export function requestDay(day, provider, isPerson) {
  const wanted = new URLSearchParams();
  if (day) {
    wanted.set('day', day);
  }
  if (provider) {
    wanted.set('provider_id', provider);
  }
  return ask(`/visits?${wanted}`, { headers: isPerson ? {} : { 'teleconsult-background': '1' } });
}

/** Open the room of an appointment. */
export const startVisit = (visit) => send(`/visits/${visit.appointment_id}/start`);

/** Send somebody's invitation once more. */
export const sendAgain = (visit, person) => send(`/sessions/${visit.session_id}/notifications`, {
  participant_id: person.participant_id,
  kind: 'invitation',
});

/** Make somebody a new link; the old one is dead then. */
export const replaceLink = (visit, person) => send(`/sessions/${visit.session_id}/participants/${person.participant_id}/link`);

function send(path, body) {
  const json = { headers: { 'content-type': 'application/json' }, body: JSON.stringify(body) };
  return ask(path, { method: 'POST', ...(body ? json : {}) });
}

async function ask(path, options) {
  const controller = new AbortController();
  const timer = setTimeout(() => controller.abort(), PATIENCE_MS);
  try {
    const response = await fetch(path, { ...options, cache: 'no-store', signal: controller.signal });
    if (response.status === 401) {
      return { kind: 'signed-out' };
    }
    const body = await response.json();
    return response.ok ? { kind: 'ok', body } : { kind: 'refused', code: body.code };
  } catch {
    // No network, a restart, or a proxy's own error page: all worth another try.
    return { kind: 'unreachable' };
  } finally {
    clearTimeout(timer);
  }
}
