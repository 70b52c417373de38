/** A video with the viewer's name over it, moved by controls of our own: a browser's own would take the
 * picture alone to the full screen, without the name. */

import { button, language, part, t } from './page.js';
import { showPlayer } from './views.js';

// How often it is asked whether the view may go on.
const ASK_MS = 15_000;
const MARKS = 6;

/**
 * Show a view that has begun.
 * @param {{viewer: string, files: {video: string, poster: ?string}[]}} view
 * @param {(code: string) => void} end what to do when it may not go on, with a problem code.
 */
export function startPlayer(view, end) {
  const video = part('video');
  let current = view.files[0];
  mark(view.viewer);
  showPlayer();
  wire(video, () => (video.paused || video.error ? play(video, current) : video.pause()));
  offerParts(view.files, (file) => { current = file; load(video, file); video.play(); });
  load(video, current);

  const stop = async (code) => {
    clearInterval(timer);
    video.removeAttribute('src');
    video.load();
    try {
      if (document.fullscreenElement) {
        await document.exitFullscreen();
      }
    } finally {  // whether or not the browser leaves it, the person hears why it ended
      end(code);
    }
  };
  const look = async () => {
    const code = await refusalOf(current.video);
    if (code) {
      stop(code);
    }
    return code;
  };
  const timer = setInterval(look, ASK_MS);
  video.addEventListener('error', async () => {
    if (video.hasAttribute('src') && !await look()) {
      button('play').textContent = t('playback.play');
      part('player-problem').textContent = t('playback.interrupted');
    }
  });
}

function load(video, file) {
  video.poster = file.poster ?? '';
  video.src = file.video;
}

/** Play; after a fault a video gets nothing more by itself, so it begins anew where it was. */
function play(video, file) {
  if (video.error) {
    const at = video.currentTime;
    load(video, file);
    video.addEventListener('loadedmetadata', () => { video.currentTime = at; }, { once: true });
  }
  video.play();
}

/** Why a file is not given any more; nothing while it is, or while there is no network. */
async function refusalOf(address) {
  try {
    if ((await fetch(address, { method: 'HEAD', cache: 'no-store' })).ok) {
      return null;
    }
    const response = await fetch(address, { headers: { range: 'bytes=0-0' }, cache: 'no-store' });
    return response.ok || response.status >= 500 ? null : (await response.json()).code;
  } catch {
    return null;
  }
}

function mark(name) {
  const now = new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date());
  part('watermark').replaceChildren(...Array.from({ length: MARKS }, () => {
    const element = document.createElement('span');
    element.textContent = `${name}\n${now}`;
    return element;
  }));
}

function wire(video, turn) {
  const seek = part('seek');
  const player = part('player');
  const tell = () => {
    const [at, length] = [video.currentTime, Number.isFinite(video.duration) ? video.duration : 0];
    seek.max = length;
    seek.value = at;
    const text = t('playback.position', { at: clockOf(at), length: clockOf(length) });
    seek.setAttribute('aria-valuetext', text);
    part('clock').textContent = text;
  };
  ['timeupdate', 'durationchange', 'seeked'].forEach((name) => video.addEventListener(name, tell));
  ['play', 'pause', 'ended'].forEach((name) => video.addEventListener(name, () => {
    button('play').textContent = t(video.paused ? 'playback.play' : 'playback.pause');
  }));
  video.addEventListener('playing', () => { part('player-problem').textContent = ''; });
  seek.addEventListener('input', () => { video.currentTime = Number(seek.value); });
  button('play').addEventListener('click', turn);
  video.addEventListener('click', turn);
  video.addEventListener('contextmenu', (event) => event.preventDefault());
  button('mute').addEventListener('click', () => {
    video.muted = !video.muted;
    button('mute').setAttribute('aria-pressed', String(video.muted));
  });
  // The whole player, so that the name stays over the picture. Telephones without it keep the page.
  button('fullscreen').hidden = !document.fullscreenEnabled;
  button('fullscreen').addEventListener('click', () => {
    if (document.fullscreenElement) {
      document.exitFullscreen();
    } else {
      player.requestFullscreen();
    }
  });
}

function offerParts(files, choose) {
  part('parts').hidden = files.length < 2;
  part('parts').replaceChildren(...files.map((file, index) => {
    const element = document.createElement('button');
    element.type = 'button';
    element.className = 'small';
    element.textContent = t('playback.part', { number: index + 1, of: files.length });
    element.addEventListener('click', () => choose(file));
    return element;
  }));
}

function clockOf(seconds) {
  const whole = Math.floor(seconds);
  const [hours, minutes, rest] = [Math.floor(whole / 3600), Math.floor(whole / 60) % 60, whole % 60];
  const tail = String(rest).padStart(2, '0');
  return hours ? `${hours}:${String(minutes).padStart(2, '0')}:${tail}` : `${minutes}:${tail}`;
}
