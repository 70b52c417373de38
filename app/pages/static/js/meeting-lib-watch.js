/** Two things lib-jitsi-meet does not tell in time: a dead websocket, and a lost peer connection. */

const LOOK_MS = 1000;
// A short hiccup is not worth a word; the library resumes most losses in 1.5 to 9 seconds.
const SAY_AFTER_MS = 2500;
// Then a new token and a fresh entry are quicker than the library's third try (up to 27 seconds).
const GIVE_UP_AFTER_MS = 15_000;
const MEDIA_GIVE_UP_MS = 8000;

/**
 * Watch the websocket behind `meeting`: say `interrupted` when it hangs, `giveUp` when it stays away.
 * @returns {Function} stops the watch.
 */
export function watchSignalling(meeting, giveUp) {
  let lostAt = 0;
  let told = false;
  const look = () => {
    if (meeting.connection.xmpp.connection.connected) {
      lostAt = 0;
      told = false;
      return;
    }
    lostAt ||= performance.now();
    const lost = performance.now() - lostAt;
    if (lost >= GIVE_UP_AFTER_MS) {
      giveUp('signalling');
    } else if (lost >= SAY_AFTER_MS && !told) {
      told = true;
      meeting.emitter.emit('interrupted', { what: 'signalling' });
    }
  };
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}

/**
 * Watch the peer connection: when it was there, has ended, and the one other person still is,
 * nobody repairs it without a bridge; a fresh entry does.
 * @returns {Function} stops the watch.
 */
export function watchMedia(meeting, giveUp) {
  const { conference } = meeting;
  let lostAt = 0;
  let had = false;
  const look = () => {
    const [other, third] = conference.getParticipants();
    if (conference.isP2PActive() || !other || third) {
      had = conference.isP2PActive();
      lostAt = 0;
      return;
    }
    lostAt ||= performance.now();
    // Both sides see the loss: one goes first, so that they do not chase each other.
    const patience = conference.myUserId() < other.getId() ? MEDIA_GIVE_UP_MS : 2 * MEDIA_GIVE_UP_MS;
    if (had && performance.now() - lostAt > patience) {
      giveUp('media');
    }
  };
  const timer = setInterval(look, LOOK_MS);
  return () => clearInterval(timer);
}
