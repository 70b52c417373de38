/** A meeting in the hospital's own Jitsi Meet, in a frame of this page, driven by its IFrame API. */

import { loadScript, makeEmitter, readRefusal } from './meeting.js';
import { language } from './page.js';

const NOTHING_RECEIVED = { framesDecoded: 0, audioPackets: 0, audioEnergy: 0, bytes: 0 };

/** Load the IFrame API of `grant.jitsi.public_url` and return a meeting drawn inside `frame`. */
export async function openFrameMeeting(grant, frame) {
  await loadScript(`${grant.jitsi.public_url}/external_api.js`);
  const meeting = { emitter: makeEmitter(), grant, frame, api: null, over: false, names: new Map(), ownId: '', muted: {} };
  return Object.freeze({
    keepsMedia: false,
    hasOwnControls: true,
    on: meeting.emitter.on,
    join: (wishes) => join(meeting, wishes),
    setMicrophone: (on) => toggle(meeting, 'audio', on, 'toggleAudio'),
    setCamera: (on) => toggle(meeting, 'video', on, 'toggleVideo'),
    setSharing: () => meeting.api.executeCommand('toggleShareScreen'),
    // The frame keeps its counters to itself.
    mediaStats: async () => ({ ...NOTHING_RECEIVED }),
    close: () => close(meeting),
  });
}

async function join(meeting, wishes) {
  const { grant, frame } = meeting;
  const muted = { audio: !wishes.audio || wishes.muted.audio, video: !wishes.video || wishes.muted.video };
  Object.assign(meeting.muted, muted);
  const address = new URL(grant.jitsi.public_url);
  meeting.api = new window.JitsiMeetExternalAPI(address.host + address.pathname.replace(/\/$/, ''), {
    roomName: grant.room,
    jwt: grant.jwt,
    lang: language,
    parentNode: frame,
    width: '100%',
    height: '100%',
    userInfo: { displayName: grant.display_name },
    configOverwrite: frameOptions(muted),
  });
  listen(meeting);
}

function frameOptions(muted) {
  return {
    // Our page has already asked for the devices and the click.
    prejoinConfig: { enabled: false },
    prejoinPageEnabled: false,
    disableDeepLinking: true,
    disableInviteFunctions: true,
    disableThirdPartyRequests: true,
    startWithAudioMuted: muted.audio,
    startWithVideoMuted: muted.video,
  };
}

function listen(meeting) {
  const { api, emitter } = meeting;
  api.on('videoConferenceJoined', ({ id }) => {
    meeting.ownId = id;
    emitter.emit('joined', { id });
  });
  // Losses and kicks are told by events of their own before these: what is left is the frame's red button.
  api.on('videoConferenceLeft', () => finish(meeting, 'left', { wanted: true }));
  api.on('readyToClose', () => finish(meeting, 'left', { wanted: true }));
  api.on('participantKickedOut', ({ kicked }) => kicked.local && finish(meeting, 'kicked', { reason: '' }));
  api.on('errorOccurred', ({ error }) => whenError(meeting, error));
  listenToPeople(meeting);
  listenToDevices(meeting);
}

function listenToPeople(meeting) {
  const { api, emitter, names } = meeting;
  api.on('participantJoined', ({ id, displayName }) => {
    names.set(id, displayName ?? '');
    emitter.emit('participant-joined', { id, name: names.get(id) });
  });
  api.on('participantLeft', ({ id }) => {
    emitter.emit('participant-left', { id, name: names.get(id) ?? '' });
    names.delete(id);
  });
  api.on('participantRoleChanged', ({ id, role }) => emitter.emit('role-changed', {
    id,
    role: role === 'moderator' ? 'moderator' : 'participant',
    own: id === meeting.ownId,
  }));
  api.on('incomingMessage', ({ nick, from, message }) => emitter.emit('message', {
    from: nick ?? '',
    text: message,
    system: !names.has(from),
  }));
}

function listenToDevices({ api, emitter, muted }) {
  const report = (kind) => ({ muted: now }) => {
    muted[kind] = now;
    emitter.emit('own-muted', { kind, muted: now });
  };
  api.on('audioMuteStatusChanged', report('audio'));
  api.on('videoMuteStatusChanged', report('video'));
  api.on('screenSharingStatusChanged', ({ on }) => emitter.emit('sharing', { on }));
}

function whenError(meeting, { name, message, isFatal, params }) {
  const refusal = readRefusal(message || params?.[1] || params?.[0]);
  if (name === 'conference.destroyed') {
    finish(meeting, 'ended', { reason: message ?? '' });
  } else if (name === 'conference.max_users') {
    finish(meeting, 'refused', { code: 'full', text: '' });
  } else if (refusal.code || isRefusal(name)) {
    finish(meeting, 'refused', refusal);
  } else if (isFatal) {
    finish(meeting, 'failed', { why: name });
  }
}

const isRefusal = (name) => [
  'connection.passwordRequired',
  'conference.authenticationRequired',
  'conference.connectionError.accessDenied',
  'conference.connectionError.membersOnly',
  'conference.connectionError.notAllowed',
  'conference.reservationError',
].includes(name);

async function toggle(meeting, kind, on, command) {
  if (meeting.muted[kind] === on) {
    meeting.api.executeCommand(command);
  }
}

function finish(meeting, name, detail) {
  if (!meeting.over) {
    meeting.over = true;
    meeting.emitter.emit(name, detail);
  }
}

async function close(meeting) {
  meeting.over = true;
  meeting.emitter.silence();
  meeting.api?.dispose();
}
