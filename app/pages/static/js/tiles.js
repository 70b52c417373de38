/** The pictures and voices of the others in one meeting: one tile per person. */

import { t } from './page.js';

/**
 * Return the tiles of one meeting inside `parent`.
 * @param {object} options seen: show and sound them now; blocked: called when the browser wants a tap before sound.
 */
export function makeTiles(parent, { seen, blocked }) {
  const group = document.createElement('div');
  const tiles = new Map();
  const state = { seen, blocked };
  group.className = 'group';
  group.toggleAttribute('data-unseen', !seen);
  parent.append(group);
  const find = (id) => tiles.get(id) ?? grow(group, tiles, id);
  return {
    add: (track, name) => add(find(track.id), track, name, state),
    name: (id, name) => { find(id).caption.textContent = name; },
    change: ({ id, kind, screen, muted }) => kind === 'video' && present(find(id), screen, muted),
    take: ({ id, kind, stream }) => take(tiles.get(id), kind, stream),
    takeAll: (id) => { tiles.get(id)?.tile.remove(); tiles.delete(id); },
    play: () => tiles.forEach(({ audio, video }) => { audio.play(); video.play(); }),
    reveal() {
      state.seen = true;
      group.removeAttribute('data-unseen');
      tiles.forEach(({ audio }) => { audio.muted = false; });
    },
    remove: () => group.remove(),
  };
}

function grow(group, tiles, id) {
  const tile = document.createElement('figure');
  const [video, audio, note, caption] = ['video', 'audio', 'p', 'figcaption'].map((name) => document.createElement(name));
  tile.className = 'tile';
  tile.dataset.testid = 'remote';
  tile.dataset.participant = id;
  video.playsInline = true;
  // Sound comes from the audio element only: a picture alone may always start without a tap.
  video.muted = true;
  note.textContent = t('call.no-picture');
  note.className = 'no-picture';
  tile.append(video, audio, note, caption);
  group.append(tile);
  const parts = { tile, video, audio, caption };
  tiles.set(id, parts);
  darken(parts, true);
  return parts;
}

function add(parts, { kind, screen, stream, muted }, name, { seen, blocked }) {
  const element = parts[kind];
  element.srcObject = stream;
  parts.caption.textContent ||= name;
  if (kind === 'video') {
    present(parts, screen, muted);
  } else {
    element.muted = !seen;
  }
  // Taken away before it could start is no reason to ask for a tap.
  element.play().catch((error) => error.name === 'NotAllowedError' && blocked());
}

function take(parts, kind, stream) {
  if (parts && parts[kind].srcObject === stream) {
    parts[kind].srcObject = null;
    if (kind === 'video') {
      darken(parts, true);
    }
  }
}

function present(parts, screen, muted) {
  parts.tile.toggleAttribute('data-screen', screen);
  darken(parts, muted);
}

function darken({ tile }, dark) {
  tile.toggleAttribute('data-dark', dark);
}
