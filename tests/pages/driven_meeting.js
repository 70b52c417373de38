// A meeting that a test drives: `meetings.at(-1).emit('joined', {id: 'me'})`.
import { makeEmitter } from './meeting.js';

window.meetings = [];

export async function openLibraryMeeting(grant) {
  const emitter = makeEmitter();
  const meeting = {
    emit: emitter.emit,
    jwt: grant.jwt,
    closed: false,
    wishes: null,
    calls: [],
    stats: { framesDecoded: 0, audioPackets: 0, audioEnergy: 0, bytes: 0 },
  };
  window.meetings.push(meeting);
  return Object.freeze({
    keepsMedia: true,
    hasOwnControls: false,
    on: emitter.on,
    async join(wishes) {
      meeting.wishes = wishes;
      for (const [kind, muted] of Object.entries(wishes.muted)) {
        emitter.emit('own-muted', { kind, muted });
      }
    },
    async setMicrophone(on) {
      meeting.calls.push(['microphone', on]);
      emitter.emit('own-muted', { kind: 'audio', muted: !on });
    },
    async setCamera(on) {
      meeting.calls.push(['camera', on]);
      if (window.cameraIsGone) {
        throw new Error('no camera');
      }
      emitter.emit('own-muted', { kind: 'video', muted: !on });
    },
    async setSharing(on) { emitter.emit('sharing', { on }); },
    async mediaStats() { return { ...meeting.stats }; },
    async close() { meeting.closed = true; emitter.silence(); },
  });
}
