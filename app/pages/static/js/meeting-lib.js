/** A meeting with lib-jitsi-meet in this page: XMPP over a websocket, media straight to the other person. */

import { loadScript, makeEmitter, readRefusal } from './meeting.js';
import { makeModeration } from './meeting-lib-moderation.js';
import { makeOwnTracks } from './meeting-lib-tracks.js';
import { watchMedia, watchSignalling } from './meeting-lib-watch.js';
import { readMediaStats } from './media-stats.js';

const VENDOR = '/assets/vendor';
// Found dead after about 14 s; the library's own 10 s / 5 s would take half a minute.
const PING = { interval: 5000, timeout: 4000, threshold: 2 };
const CLOSE_PATIENCE_MS = 1500;

/** Load the library and return a meeting for `grant`; nothing is sent before `join`. */
export async function openLibraryMeeting(grant) {
  const library = await loadLibrary();
  const emitter = makeEmitter();
  const connection = new library.JitsiConnection(null, grant.jwt, connectionOptions(grant));
  const meeting = { emitter, library, connection, grant, conference: null, over: false, watches: [] };
  meeting.own = makeOwnTracks(meeting);
  meeting.moderation = makeModeration(meeting);
  return face(meeting);
}

function face(meeting) {
  return Object.freeze({
    keepsMedia: true,
    hasOwnControls: false,
    on: meeting.emitter.on,
    join: (wishes) => join(meeting, wishes),
    setMicrophone: (on) => meeting.moderation.set('audio', on),
    setCamera: (on) => meeting.moderation.set('video', on),
    setSharing: (on) => meeting.own.share(on),
    mediaStats: () => readMediaStats(meeting.conference),
    close: () => close(meeting),
  });
}

async function loadLibrary() {
  await loadScript(`${VENDOR}/jquery/jquery.min.js`);
  // The library's bundle reads the lower-case name.
  window.jquery = window.jQuery;
  await loadScript(`${VENDOR}/lib-jitsi-meet/lib-jitsi-meet.min.js`);
  const library = window.JitsiMeetJS;
  if (!library.teleconsultReady) {
    library.setLogLevel(library.logLevels.ERROR);
    library.init({ disableThirdPartyRequests: true, enableAnalyticsLogging: false, disableAudioLevels: true });
    library.teleconsultReady = true;
  }
  return library;
}

function connectionOptions({ jitsi, room }) {
  return {
    hosts: { domain: jitsi.domain, muc: jitsi.muc, focus: jitsi.focus },
    serviceUrl: `${jitsi.websocket_url}?room=${encodeURIComponent(room)}`,
    enableWebsocketResume: true,
    websocketKeepAlive: -1,
    xmppPing: PING,
  };
}

function conferenceOptions({ jitsi }) {
  return {
    // Recorders are no people.
    hiddenDomain: jitsi.hidden,
    p2p: { enabled: true, stunServers: [], backToP2PDelay: 1 },
    disableSimulcast: true,
    enableLayerSuspension: false,
    // Without a focus somebody else makes the room (bare test servers).
    disableFocus: !jitsi.focus,
  };
}

function join(meeting, wishes) {
  const { connection, library } = meeting;
  const { CONNECTION_ESTABLISHED, CONNECTION_FAILED } = library.events.connection;
  const opened = meeting.own.open(wishes);
  connection.addEventListener(CONNECTION_ESTABLISHED, () => whenConnected(meeting, opened));
  connection.addEventListener(CONNECTION_FAILED, (kind, text) => whenNotConnected(meeting, kind, text));
  connection.connect();
  return opened;
}

async function whenConnected(meeting, opened) {
  if (meeting.conference) {
    // The stream was resumed: same occupant, nothing to do but say so.
    meeting.emitter.emit('restored', { what: 'signalling' });
    return;
  }
  listenToRefusals(meeting);
  const { connection, grant } = meeting;
  meeting.conference = connection.initJitsiConference(grant.room, conferenceOptions(grant));
  listen(meeting);
  await opened;
  if (meeting.over) {
    return;
  }
  meeting.conference.setDisplayName(grant.display_name);
  await meeting.own.addAll();
  meeting.conference.join();
}

function whenNotConnected(meeting, kind, text) {
  const refusal = readRefusal(text);
  if (kind === meeting.library.errors.connection.PASSWORD_REQUIRED) {
    finish(meeting, 'refused', refusal);
  } else {
    finish(meeting, 'failed', { why: kind });
  }
}

/**
 * This version of the library tells *that* an entry was refused, but drops the server's words, and it
 * asks a refusing focus again for ever. So the error stanzas are read as they come in.
 */
function listenToRefusals(meeting) {
  const onError = (stanza) => {
    const text = stanza.querySelector('error > text')?.textContent;
    const refusal = readRefusal(text);
    if (refusal.code && !meeting.joined) {
      finish(meeting, 'refused', refusal);
    }
    return true; // keeps the handler
  };
  const stream = meeting.connection.xmpp.connection;
  stream.addHandler(onError, null, 'presence', 'error');
  stream.addHandler(onError, null, 'iq', 'error');
}

function listen(meeting) {
  const { conference, library, emitter } = meeting;
  const events = library.events.conference;
  const on = (name, listener) => conference.on(events[name], listener);
  on('CONFERENCE_JOINED', () => whenJoined(meeting));
  on('CONFERENCE_LEFT', () => finish(meeting, 'left'));
  on('CONFERENCE_FAILED', (kind, ...details) => whenFailed(meeting, kind, details));
  on('KICKED', (_actor, reason) => finish(meeting, 'kicked', { reason: reason ?? '' }));
  on('CONNECTION_INTERRUPTED', () => emitter.emit('interrupted', { what: 'media' }));
  on('CONNECTION_RESTORED', () => emitter.emit('restored', { what: 'media' }));
  listenToPeople(meeting, on);
  listenToTracks(meeting, on);
  meeting.moderation.listen(on);
}

function listenToPeople({ emitter, conference }, on) {
  on('USER_JOINED', (id, user) => emitter.emit('participant-joined', { id, name: user.getDisplayName() ?? '' }));
  on('DISPLAY_NAME_CHANGED', (id, name) => emitter.emit('participant-joined', { id, name: name ?? '' }));
  on('USER_LEFT', (id, user) => emitter.emit('participant-left', { id, name: user?.getDisplayName() ?? '' }));
  on('USER_ROLE_CHANGED', (id, role) => emitter.emit('role-changed', {
    id,
    role: role === 'moderator' ? 'moderator' : 'participant',
    own: id === conference.myUserId(),
  }));
  const onMessage = (id, text, sentAt) => {
    // A delayed copy is history from before we came in.
    if (!sentAt) {
      const name = conference.getParticipantById(id)?.getDisplayName() ?? '';
      emitter.emit('message', { from: name, text, system: !id || id === 'focus' });
    }
  };
  on('MESSAGE_RECEIVED', onMessage);
  on('PRIVATE_MESSAGE_RECEIVED', onMessage);
}

function listenToTracks({ emitter, own, library }, on) {
  on('TRACK_ADDED', (track) => {
    if (!track.isLocal()) {
      emitter.emit('track-added', described(track));
      // A camera can turn into a shared screen and back without a new track.
      track.on(library.events.track.TRACK_VIDEOTYPE_CHANGED, () => emitter.emit('track-changed', described(track)));
    }
  });
  on('TRACK_REMOVED', (track) => !track.isLocal() && emitter.emit('track-removed', described(track)));
  on('TRACK_MUTE_CHANGED', (track) => (track.isLocal() ? own.report() : emitter.emit('track-changed', described(track))));
}

function described(track) {
  return {
    id: track.getParticipantId(),
    kind: track.getType(),
    screen: track.videoType === 'desktop',
    stream: track.getOriginalStream(),
    muted: track.isMuted(),
  };
}

function whenJoined(meeting) {
  meeting.joined = true;
  meeting.emitter.emit('joined', { id: meeting.conference.myUserId() });
  const giveUp = (why) => finish(meeting, 'failed', { why });
  meeting.watches.push(watchSignalling(meeting, giveUp), watchMedia(meeting, giveUp));
}

function whenFailed(meeting, kind, details) {
  const { errors } = meeting.library;
  const { CONFERENCE_DESTROYED, CONFERENCE_MAX_USERS, RESERVATION_ERROR, NOT_ALLOWED_ERROR, FOCUS_DISCONNECTED } = errors.conference;
  if (kind === CONFERENCE_DESTROYED) {
    finish(meeting, 'ended', { reason: details[0] ?? '' });
  } else if (kind === RESERVATION_ERROR) {
    // The refusal of a conference request: a code of its own, and the text.
    const refusal = readRefusal(details[1]);
    finish(meeting, 'refused', refusal.code ? refusal : { code: String(details[0] ?? ''), text: refusal.text });
  } else if (kind === CONFERENCE_MAX_USERS) {
    later(meeting, 'refused', { code: 'full', text: '' });
  } else if (kind === NOT_ALLOWED_ERROR) {
    later(meeting, 'refused', { code: '', text: '' });
  } else if (kind !== FOCUS_DISCONNECTED) {
    later(meeting, 'failed', { why: kind });
  }
}

/** Our reader of the same stanza runs after the library's and knows more, so it goes first. */
function later(meeting, name, detail) {
  setTimeout(() => finish(meeting, name, detail));
}

function finish(meeting, name, detail) {
  if (!meeting.over) {
    meeting.over = true;
    meeting.watches.forEach((stop) => stop());
    meeting.emitter.emit(name, detail);
  }
}

async function close(meeting) {
  meeting.over = true;
  meeting.emitter.silence();
  meeting.watches.forEach((stop) => stop());
  const left = meeting.conference?.room ? meeting.conference.leave().catch(() => {}) : Promise.resolve();
  // On a dead connection nobody confirms; the devices must not stay on for that.
  await Promise.race([left, new Promise((done) => { setTimeout(done, CLOSE_PATIENCE_MS); })]);
  await meeting.own.dispose();
  await Promise.resolve(meeting.connection.disconnect()).catch(() => {});
}
