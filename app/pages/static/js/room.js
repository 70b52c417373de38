/** The call on the screen: the others, ourselves, the buttons, the banner. Knows meetings only by their events. */

import { canShare } from './devices.js';
import { button, part, t } from './page.js';
import { stopWatching, watchRecording } from './recording.js';
import { makeTiles } from './tiles.js';
import { toast } from './toasts.js';
import { announce } from './views.js';

const own = { audio: { action: 'mic', on: 'call.mic-on', off: 'call.mic-off' }, video: { action: 'camera', on: 'call.camera-on', off: 'call.camera-off' } };
const moderation = {
  audio: { asked: 'call.asked-mic', refused: 'call.moderated-mic' },
  video: { asked: 'call.asked-camera', refused: 'call.moderated-camera' },
};
const FILES = /^(see_|share_files|share_prescriptions)/;
const troubles = new Set();
const groups = new Map();
let controls = null;
let newest = null;
// What this person may do, and the panel of who may moderate: nobody else needs to load it.
let mine = [];
let panel = null;
// So are the files of a session, where there is anything of them for this person.
let files = null;
// The people of the meeting we are in; while another is being entered, still those of the former.
let people = new Map();
let sharing = false;
const muted = { audio: true, video: true };

/** Wire the buttons; called once. */
export function prepareRoom() {
  button('mic').addEventListener('click', () => attempt(controls.setMicrophone(muted.audio)));
  button('camera').addEventListener('click', () => attempt(controls.setCamera(muted.video)));
  button('share').addEventListener('click', () => attempt(controls.setSharing(!sharing)));
  button('leave').addEventListener('click', () => controls.leave());
  button('hear').addEventListener('click', hear);
}

export const room = {
  frame: part('frame'),

  /** Let the buttons act on a call. */
  control(actions) {
    controls = actions;
  },

  /** Show `meeting` as it comes alive; beside a running older one it stays unseen until `promote`. */
  show(meeting, grant, atOnce) {
    const tiles = makeTiles(part('tiles'), { seen: atOnce, blocked: () => { button('hear').hidden = false; } });
    groups.set(meeting, tiles);
    listen(meeting, tiles);
    document.body.dataset.client = meeting.hasOwnControls ? 'frame' : 'page';
    button('share').hidden = !(canShare() && grant.permissions.includes('share_screen'));
    newest = meeting;
    mine = grant.permissions;
    if (mine.includes('moderate')) {
      manage();
    }
    if (mine.some((permission) => FILES.test(permission))) {
      files ??= import('./files.js');
      files.then(({ startFiles }) => startFiles(), () => { files = null; });
    }
  },

  /** Bring a fresh meeting to the front and take the older ones off the screen. */
  promote(meeting) {
    [...groups.keys()].filter((other) => other !== meeting).forEach(room.drop);
    groups.get(meeting)?.reveal();
    renderAlone();
  },

  /** Take a meeting off the screen. */
  drop(meeting) {
    groups.get(meeting)?.remove();
    groups.delete(meeting);
  },

  /** Say how the connection is: 'good', 'weak' or 'reconnecting'. */
  connection(quality) {
    if (quality !== 'weak') {
      troubles.clear();
    }
    renderBanner(quality);
  },

  /** Empty the screen at the end. */
  clear() {
    manageNoMore();
    stopWatching();
    files?.then(({ stopFiles }) => stopFiles(), () => {});
    [...groups.keys()].forEach(room.drop);
    people = new Map();
    renderPeople();
    room.connection('good');
    showOwn({ stream: null, screen: false });
    button('hear').hidden = true;
  },
};

function listen(meeting, tiles) {
  // An older meeting that only lends its picture has no say any more.
  const on = (name, listener) => meeting.on(name, (detail) => meeting === newest && listener(detail));
  // The others are told to us before we are told that we are in.
  const crowd = new Map();
  on('joined', () => {
    people = crowd;
    renderPeople();
    room.connection('good');
    watchRecording();
  });
  on('participant-joined', (who) => whenSeen(crowd, tiles, who));
  on('participant-left', (who) => whenGone(crowd, tiles, who));
  meeting.on('track-added', (track) => { tiles.add(track, crowd.get(track.id) ?? ''); renderAlone(); });
  meeting.on('track-removed', (track) => { tiles.take(track); renderAlone(); });
  meeting.on('track-changed', (track) => tiles.change(track));
  on('own-video', showOwn);
  on('own-muted', renderOwn);
  on('sharing', renderSharing);
  on('interrupted', ({ what }) => trouble(what, true));
  on('restored', ({ what }) => trouble(what, false));
  on('role-changed', ({ own: ours, role }) => ours && whenRole(role));
  on('message', ({ from, text }) => toast(from || t('call.notice'), text));
  on('asked', ({ kind }) => toast(t('call.notice'), t(moderation[kind].asked)));
  on('moderated', ({ kind, allowed }) => !allowed && toast(t('call.notice'), t(moderation[kind].refused)));
}

function whenRole(role) {
  if (role === 'moderator') {
    announce(t('call.moderator'));
    manage();
  } else {
    manageNoMore();
  }
}

function manage() {
  panel ??= import('./panel.js');
  // Where it did not load, the next meeting tries again.
  panel.then(({ startPanel }) => startPanel(mine), () => { panel = null; });
}

function manageNoMore() {
  panel?.then(({ stopPanel }) => stopPanel(), () => {});
}

function whenSeen(crowd, tiles, { id, name }) {
  if (crowd === people && !crowd.has(id) && name) {
    announce(t('call.joined', { name }));
  }
  crowd.set(id, name);
  tiles.name(id, name);
  renderPeople();
}

function whenGone(crowd, tiles, { id }) {
  const name = crowd.get(id);
  if (crowd.delete(id) && name) {
    announce(t('call.left', { name }));
  }
  tiles.takeAll(id);
  renderPeople();
}

function renderPeople() {
  const names = [t('call.you'), ...people.values()].filter(Boolean);
  part('people').replaceChildren(...names.map((name) => {
    const item = document.createElement('li');
    item.textContent = name;
    return item;
  }));
  renderAlone();
}

function renderAlone() {
  part('alone').hidden = people.size > 0 || document.body.dataset.client === 'frame';
}

function renderOwn({ kind, muted: now }) {
  muted[kind] = now;
  const { action, on, off } = own[kind];
  button(action).dataset.on = String(!now);
  button(action).querySelector('span').textContent = t(now ? off : on);
}

function renderSharing({ on }) {
  sharing = on;
  button('share').dataset.on = String(on);
  button('share').querySelector('span').textContent = t(on ? 'call.share-stop' : 'call.share');
}

function showOwn({ stream, screen }) {
  part('own').hidden = !stream;
  part('own').toggleAttribute('data-screen', screen);
  part('own-video').srcObject = stream;
}

function trouble(what, hangs) {
  if (hangs) {
    troubles.add(what);
  } else {
    troubles.delete(what);
  }
  renderBanner(troubles.size ? 'weak' : 'good');
}

function renderBanner(quality) {
  const before = document.body.dataset.connection;
  document.body.dataset.connection = quality;
  const banner = part('banner');
  banner.hidden = quality === 'good';
  banner.textContent = { good: '', weak: t('call.weak'), reconnecting: t('call.reconnecting') }[quality];
  if (quality === 'good' && before && before !== 'good') {
    announce(t('call.restored'));
  }
}

async function attempt(work) {
  try {
    await work;
  } catch {
    toast(t('call.notice'), t('call.device-failed'));
  }
}

function hear() {
  button('hear').hidden = true;
  groups.forEach((tiles) => tiles.play());
}
