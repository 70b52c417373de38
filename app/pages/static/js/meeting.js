/**
 * The one interface to a meeting client. Two implementations: `meeting-iframe.js` (the hospital's
 * Jitsi Meet in a frame) and `meeting-lib.js` (lib-jitsi-meet in this page, peer to peer).
 *
 * A Meeting is one attempt to be in the room: after `refused`, `kicked`, `ended`, `left` or `failed`
 * it is over, and whoever wants back in opens another with a new token.
 *
 * Events (name, detail):
 *   joined             {id}                 we are in the room under this occupant id
 *   left               {wanted}             wanted: hung up inside the client; else put out without a word
 *   kicked             {reason}             somebody took us out; reason may be ''
 *   ended              {reason}             the room was closed for everybody
 *   refused            {code, text}         we may not enter; code as in the admission contract, '' when unknown
 *   failed             {why}                the client gave up; media may still run until `close()`
 *   interrupted, restored  {what}           'signalling' or 'media' hangs, or works again
 *   participant-joined {id, name}           participant-left {id, name}
 *   track-added        {id, kind, screen, stream, muted}   remote; kind is 'audio' or 'video'
 *   track-removed      {id, kind, stream}
 *   track-changed      {id, kind, screen, muted}
 *   own-video          {stream, screen}     what our camera or screen sends; stream null when nothing
 *   own-muted          {kind, muted}        our own devices, also when changed inside the frame
 *   sharing            {on}
 *   role-changed       {id, role, own}      role is 'moderator' or 'participant'
 *   message            {from, text, system} system: the room itself speaks
 *   moderated          {kind, on, allowed}  a kind of device is the moderators' to allow, or free again; allowed: for us
 *   asked              {kind}               a moderator asks us to switch on
 *
 * @typedef {object} Meeting
 * @property {boolean} keepsMedia  media goes on after `failed`, so it may overlap with the next attempt
 * @property {boolean} hasOwnControls  the client brings its own buttons
 * @property {(name: string, listener: Function) => void} on
 * @property {(wishes: {audio: boolean, video: boolean, muted: {audio: boolean, video: boolean}}) => Promise<void>} join
 * @property {(on: boolean) => Promise<void>} setMicrophone
 * @property {(on: boolean) => Promise<void>} setCamera
 * @property {(on: boolean) => Promise<void>} setSharing
 * @property {() => Promise<{framesDecoded: number, audioPackets: number, audioEnergy: number, bytes: number}>} mediaStats
 *   what has been received so far; zeros when the client does not say
 * @property {() => Promise<void>} close  leave and free everything; emits nothing afterwards
 */

/** Choose the client for `grant` (the answer of the token exchange); `frame` is where it may draw. */
export async function openMeeting(grant, frame) {
  if (grant.jitsi.public_url) {
    const { openFrameMeeting } = await import('./meeting-iframe.js');
    return openFrameMeeting(grant, frame);
  }
  const { openLibraryMeeting } = await import('./meeting-lib.js');
  return openLibraryMeeting(grant);
}

/** The listening half of a meeting: `on` for the outside, `emit` for the client, `silence` at the end. */
export function makeEmitter() {
  const listeners = new Map();
  let silent = false;
  return {
    on(name, listener) {
      listeners.set(name, [...(listeners.get(name) ?? []), listener]);
    },
    emit(name, detail = {}) {
      if (!silent) {
        (listeners.get(name) ?? []).forEach((listener) => listener(detail));
        (listeners.get('*') ?? []).forEach((listener) => listener(detail, name));
      }
    },
    silence() {
      silent = true;
    },
  };
}

/** Load a classic script once. */
export function loadScript(src) {
  const present = document.querySelector(`script[src="${CSS.escape(src)}"]`);
  if (present?.dataset.loaded) {
    return Promise.resolve();
  }
  present?.remove();
  return new Promise((resolve, reject) => {
    const element = document.createElement('script');
    element.src = src;
    element.addEventListener('load', () => {
      element.dataset.loaded = 'yes';
      resolve();
    });
    element.addEventListener('error', () => {
      element.remove();
      reject(new Error(`${new URL(src, location.href).pathname} did not load`));
    });
    document.head.append(element);
  });
}

/**
 * Read `"<code>: <sentence>"`, the form in which our Prosody modules refuse.
 * @returns {{code: string, text: string}} code '' when the text is not of ours.
 */
export function readRefusal(text) {
  const found = /^([a-z]+(?:-[a-z]+)*): (.*)$/s.exec(text ?? '');
  return found ? { code: found[1], text: found[2] } : { code: '', text: text ?? '' };
}
