/** The bytes of a file, by the core of tus 1.0.0 (https://tus.io/protocols/resumable-upload). */

import { makeBackoff, rest } from './backoff.js';

const PIECE_BYTES = 1024 * 1024;
const TUS = { 'tus-resumable': '1.0.0' };
// What trying again does not change.
const FINAL = new Set([403, 404, 410, 413, 422]);
// Nothing is wrong: others are before us, or our own last piece is still on its way.
const BUSY = new Set([423, 429, 503]);
const BUSY_MS = 2000;
const BUSY_MOST_MS = 60_000;
// The service ends a request after half of that; what has no answer then was lost on its way.
const PATIENCE_MS = 60_000;

/**
 * Send `file` to `path`; tells whether all of it arrived. Without a network it goes on later, however long that takes:
 * the service keeps what has arrived for a day.
 * @param {{signal: AbortSignal, at: function(number): void, holds: function(boolean): void}} way is told how far it is
 * and whether there is an answer, and may stop.
 */
export async function sendPieces(file, path, way) {
  const backoff = makeBackoff();
  let offset = 0;
  while (offset < file.size && !way.signal.aborted) {
    const answer = await patch(file, path, offset);
    if (answer && FINAL.has(answer.status)) {
      return false;
    }
    way.holds(!answer);
    let there = Number(answer?.ok && answer.headers.get('upload-offset'));
    if (!answer?.ok) {
      await (BUSY.has(answer?.status) ? rest(busyFor(answer), way.signal) : backoff.pause(way.signal));
      there = await arrived(path) ?? offset;
    }
    // On a slow line no piece may arrive in its time, and yet the file does.
    if (there > offset) {
      backoff.reset();
    }
    offset = there;
    way.at(offset);
  }
  return offset >= file.size;
}

const busyFor = (answer) => Math.min(Number(answer.headers.get('retry-after')) * 1000 || BUSY_MS, BUSY_MOST_MS);

function patch(file, path, offset) {
  const headers = { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' };
  return ask(path, { method: 'PATCH', headers, body: file.slice(offset, offset + PIECE_BYTES) });
}

async function arrived(path) {
  const answer = await ask(path, { method: 'HEAD', headers: TUS, cache: 'no-store' });
  return answer?.ok ? Number(answer.headers.get('upload-offset')) : null;
}

async function ask(path, options) {
  const limit = new AbortController();
  const timer = setTimeout(() => limit.abort(), PATIENCE_MS);
  try {
    return await fetch(path, { ...options, signal: limit.signal });
  } catch {
    return null;
  } finally {
    clearTimeout(timer);
  }
}
