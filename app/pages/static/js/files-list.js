/** One row for each file: what it is, where it stands, and what can be done with it. */

import { ask, prepareDialog } from './dialog.js';
import { button, language, part, t } from './page.js';
import { once } from './panel-acts.js';
import { removeFile, requestFileLink } from './service.js';

const rows = new Map();
const STATES = {
  uploading: 'files.uploading', scanning: 'files.scanning', refused: 'files.refused', quarantined: 'files.quarantined',
};
const REASONS = {
  scanner_unavailable: 'files.waits', file_type_not_allowed: 'files.wrong-type', file_damaged: 'files.damaged',
  image_too_large: 'files.too-many-pixels', file_unscanned: 'files.too-large',
};
const KINDS = {
  image: 'files.image', xray: 'files.xray', document: 'files.document', prescription: 'files.prescription', report: 'files.report',
};

/** The kinds in the order people are offered them. */
export const kindsOf = (mayShare) => Object.keys(KINDS).filter((kind) => kind in mayShare);

/** What a kind is called. */
export const kindName = (kind) => t(KINDS[kind]);

/** Bring the list up to date. Rows stay the same elements, so that nobody's focus jumps. */
export function renderFiles(files, panel) {
  const here = new Set(files.map(({ id }) => id));
  [...rows.keys()].filter((id) => !here.has(id)).forEach(forget);
  // The newest comes first, and each new row goes to the top.
  for (const file of [...files].reverse()) {
    const row = rows.get(file.id) ?? makeRow(file, panel);
    row.name.textContent = file.name;
    row.about.textContent = described(file);
    row.seen.textContent = seenBy(file);
    row.open.hidden = file.state !== 'available';
    row.look.hidden = !(file.state === 'available' && file.has_preview);
    row.remove.hidden = !mayRemove(file);
    if (!row.item.isConnected) {
      part('files-list').prepend(row.item);
    }
  }
}

const mayRemove = (file) => (file.is_mine || document.body.dataset.moderates === 'yes')
  && !(file.kind === 'prescription' && file.state === 'available');

function described(file) {
  const size = new Intl.NumberFormat(language, { maximumFractionDigits: 1 }).format(file.size_bytes / 2 ** 20);
  const words = [kindName(file.kind), file.shared_by_name, t('files.megabytes', { size })];
  const told = REASONS[file.reason] ?? STATES[file.state];
  if (told) {
    words.push(t(told));
  }
  if (file.superseded_by_id) {
    words.push(t('files.superseded'));
  }
  return words.join(' · ');
}

function seenBy(file) {
  return file.seen_by_names.length ? t('files.seen-by', { names: file.seen_by_names.join(', ') }) : '';
}

function makeRow(file, panel) {
  const [item, words, name, about, seen] = ['li', 'div', 'strong', 'span', 'span'].map((tag) => document.createElement(tag));
  about.className = seen.className = 'soft';
  words.append(name, about, seen);
  const row = { item, name, about, seen };
  row.look = makeButton('look', t('files.look'), t('files.look-name', file), () => preview(file, row, panel));
  row.open = makeButton('open', t('files.open'), t('files.open-name', file), () => open(file, panel));
  row.remove = makeButton('delete', t('files.delete'), t('files.delete-name', file), () => remove(file, panel));
  row.look.setAttribute('aria-expanded', 'false');
  item.append(words, row.look, row.open, row.remove);
  rows.set(file.id, row);
  return row;
}

function makeButton(does, text, name, act) {
  const element = document.createElement('button');
  Object.assign(element, { type: 'button', className: 'small', textContent: text });
  element.dataset.testid = does;
  element.setAttribute('aria-label', name);
  element.addEventListener('click', () => once(element, act));
  return element;
}

function forget(id) {
  const { item } = rows.get(id);
  const held = item.contains(document.activeElement);
  item.remove();
  rows.delete(id);
  if (held) {
    part('files-title').focus({ preventScroll: true });
  }
}

async function preview(file, row, panel) {
  const shown = row.item.querySelector('img');
  row.look.setAttribute('aria-expanded', String(!shown));
  if (shown) {
    shown.remove();
    return;
  }
  const path = await requestFileLink(file.id, { preview: true });
  if (!path) {
    panel.say(t('panel.failed'));
    return;
  }
  const picture = document.createElement('img');
  picture.alt = t('files.preview-of', { name: file.name });
  picture.src = path;
  row.item.append(picture);
}

async function open(file, panel) {
  const path = await requestFileLink(file.id, {});
  if (!path) {
    panel.say(t('panel.failed'));
    return;
  }
  const link = document.createElement('a');
  link.href = path;
  link.download = file.name;
  link.click();
  panel.say(t('files.opened', { name: file.name }));
  panel.lookNow();
}

async function remove(file, panel) {
  prepareDialog();
  const answer = await ask({
    title: t('files.delete-title', { name: file.name }), text: t('files.delete-text'), yes: t('files.delete'),
  });
  if (answer) {
    const done = await removeFile(file.id);
    panel.say(done ? t('files.deleted', { name: file.name }) : t('panel.failed'));
    panel.lookNow();
    (rows.get(file.id)?.remove ?? button('files-close')).focus();
  }
}
