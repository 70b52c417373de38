/**
 * `window.teleconsult`: what happened in this page, for tests and for a person on the phone with support.
 * Read-only, and without secrets: no token, no link code.
 */

const LONGEST = 500;
const events = [];
const surface = { state: document.body.dataset.state, role: '', meeting: null };

/** Remember that `name` happened now; `detail` must be safe to show. */
export function note(name, detail = {}) {
  events.push(Object.freeze({ at: performance.now(), name, ...detail }));
  if (events.length > LONGEST) {
    events.shift();
  }
}

/** Change what the surface shows: `state`, `role` or `meeting`. */
export function expose(changes) {
  Object.assign(surface, changes);
}

Object.defineProperty(window, 'teleconsult', {
  value: Object.freeze({
    get state() { return surface.state; },
    get events() { return [...events]; },
    get role() { return surface.role; },
    get meeting() { return surface.meeting; },
  }),
});
