/** The files of a session beside the picture: what is there, what it is, who saw it, and sharing one. */

import { prepareSharing, showKinds } from './files-share.js';
import { renderFiles } from './files-list.js';
import { button, part, t } from './page.js';
import { requestFiles } from './service.js';
import { toast } from './toasts.js';
import { announce } from './views.js';

const LOOK_EVERY_MS = 4000;
let wired = false;
let watch = null;
// Files that were there when we looked last; nothing before the first look.
let known = null;

/** Offer the panel, and look what is there. */
export function startFiles() {
  if (!wired) {
    wired = true;
    wire();
  }
  button('files').hidden = false;
  if (!watch) {
    watch = { timer: null };
    look(watch);
  }
}

/** Take it away again. */
export function stopFiles() {
  clearTimeout(watch?.timer);
  watch = null;
  known = null;
  show(false);
  button('files').hidden = true;
}

/** Look at once, because something was done here. */
export function lookNow() {
  if (watch) {
    clearTimeout(watch.timer);
    look(watch);
  }
}

/** Say something in the panel; it is read out, too. */
export function say(text) {
  part('files-said').textContent = text;
  if (text) {
    announce(text);
  }
}

function wire() {
  button('files').addEventListener('click', () => toggle(!isOpen()));
  button('files-close').addEventListener('click', () => toggle(false));
  part('files').addEventListener('keydown', ({ key }) => key === 'Escape' && toggle(false));
  // There is room for one of the two.
  button('panel').addEventListener('click', () => show(false));
  prepareSharing({ say, lookNow });
}

const isOpen = () => !part('files').hidden;

function toggle(open) {
  show(open);
  (open ? part('files-title') : button('files')).focus({ preventScroll: true });
}

function show(open) {
  part('files').hidden = !open;
  button('files').setAttribute('aria-expanded', String(open));
  say('');
}

async function look(mine) {
  const answer = await requestFiles();
  if (watch !== mine) {
    return;
  }
  // Without an answer the list stays as it was.
  if (answer) {
    showKinds(answer.may_share);
    renderFiles(answer.files, { say, lookNow });
    part('files-none').hidden = answer.files.length > 0;
    tellNews(answer.files);
  }
  mine.timer = setTimeout(() => look(mine), LOOK_EVERY_MS);
}

/** Say that somebody else's file is there, unless the person sees it anyway. */
function tellNews(files) {
  const there = files.filter(({ state, is_mine: own }) => state === 'available' && !own);
  const news = known ? there.filter(({ id }) => !known.has(id)) : [];
  known = new Set(there.map(({ id }) => id));
  for (const file of news) {
    const text = t('files.news', { name: file.shared_by_name });
    if (isOpen()) {
      announce(text);
    } else {
      toast(t('files.title'), text);
    }
  }
}
