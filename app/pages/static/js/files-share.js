/** Sharing a file: chosen or dropped, sent in pieces, going on by itself after a lost connection. */

import { kindName, kindsOf } from './files-list.js';
import { button, part, t } from './page.js';
import { announceFile, removeFile } from './service.js';
import { leaveTurn, takeTurn } from './files-turns.js';
import { sendPieces } from './files-upload.js';

let limits = {};
let panel = null;

/** Wire the form; called once. */
export function prepareSharing(owner) {
  panel = owner;
  const [form, input] = [part('files-share'), part('files-input')];
  button('files-choose').addEventListener('click', () => input.click());
  input.addEventListener('change', () => {
    shareAll(input.files);
    input.value = '';
  });
  for (const name of ['dragenter', 'dragover']) {
    form.addEventListener(name, (event) => {
      event.preventDefault();
      form.toggleAttribute('data-over', true);
    });
  }
  form.addEventListener('dragleave', () => form.removeAttribute('data-over'));
  form.addEventListener('drop', (event) => {
    event.preventDefault();
    form.removeAttribute('data-over');
    shareAll(event.dataTransfer.files);
  });
}

/** Offer the kinds that this person may share, with the most bytes of each. */
export function showKinds(mayShare) {
  const kinds = kindsOf(mayShare);
  const same = kinds.join() === kindsOf(limits).join();
  limits = mayShare;
  part('files-share').hidden = kinds.length === 0;
  if (!same) {
    part('files-kind').replaceChildren(...kinds.map((kind) => new Option(kindName(kind), kind)));
  }
}

function shareAll(files) {
  [...files].forEach((file) => share(file, part('files-kind').value));
}

async function share(file, kind) {
  if (file.size === 0 || file.size > limits[kind]) {
    panel.say(t('files.limit', { name: file.name, size: Math.round(limits[kind] / 2 ** 20) }));
    return;
  }
  const way = makeWay(file);
  const sent = await takeTurn(way.signal) && await send(file, kind, way);
  way.leave();
  panel.say(t(sent ? 'files.sent' : 'files.not-sent', { name: file.name }));
  panel.lookNow();
}

/** Announce a file and send it in the turn it has; tells whether it is there. */
async function send(file, kind, way) {
  way.begins();
  try {
    const announced = await announceFile({ kind, name: file.name, size_bytes: file.size });
    const sent = announced && await sendPieces(file, new URL(announced.upload_url).pathname, way);
    // Who stopped as the last piece arrived stopped it all the same.
    const isThere = sent && !way.signal.aborted;
    if (announced && !isThere) {
      await removeFile(announced.id); // else it would count towards what a session may have
    }
    return isThere;
  } finally {
    leaveTurn();
  }
}

/** A row that shows how far a file has come, with a button to stop. */
function makeWay(file) {
  const [row, words, name, about, bar, stop] = ['li', 'div', 'strong', 'span', 'progress', 'button']
    .map((tag) => document.createElement(tag));
  name.textContent = file.name;
  about.className = 'soft';
  about.textContent = t('files.queued');
  words.append(name, about);
  bar.max = file.size;
  bar.value = 0;
  bar.setAttribute('aria-label', t('files.progress', { name: file.name }));
  Object.assign(stop, { type: 'button', className: 'small', textContent: t('files.stop') });
  stop.setAttribute('aria-label', t('files.stop-name', { name: file.name }));
  row.append(words, bar, stop);
  part('files-list').prepend(row);
  const stopping = new AbortController();
  stop.addEventListener('click', () => stopping.abort());
  return {
    signal: stopping.signal,
    begins: () => { about.textContent = ''; },
    at: (bytes) => { bar.value = bytes; },
    holds: (isCutOff) => { about.textContent = isCutOff ? t('files.cut-off') : ''; },
    leave: () => leave(row),
  };
}

function leave(row) {
  const held = row.contains(document.activeElement);
  row.remove();
  if (held) {
    part('files-title').focus({ preventScroll: true });
  }
}
