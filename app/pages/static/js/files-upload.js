/** The bytes of a file, by the core of tus 1.0.0 (https://tus.io/protocols/resumable-upload). */

const PIECE_BYTES = 1024 * 1024;
const TRIES = 20;
const PAUSE_MS = 1500;
const TUS = { 'tus-resumable': '1.0.0' };
// What trying again does not change.
const FINAL = new Set([403, 404, 410, 422]);

/**
 * Send `file` to `path`; tells whether all of it arrived.
 * @param {{stopped: boolean, at: function(number): void}} way is told how far it is, and may stop.
 */
export async function sendPieces(file, path, way) {
  let offset = 0;
  let failures = 0;
  while (offset < file.size && !way.stopped && failures < TRIES) {
    const answer = await patch(file, path, offset);
    if (answer?.ok) {
      failures = 0;
      offset = Number(answer.headers.get('upload-offset'));
      way.at(offset);
    } else if (answer && FINAL.has(answer.status)) {
      return false;
    } else {
      await pause();
      const there = await arrived(path) ?? offset;
      // On a slow line no piece may arrive in its time, and yet the file does.
      failures = there > offset ? 0 : failures + 1;
      offset = there;
      way.at(offset);
    }
  }
  return offset >= file.size;
}

async function patch(file, path, offset) {
  const headers = { ...TUS, 'upload-offset': String(offset), 'content-type': 'application/offset+octet-stream' };
  try {
    return await fetch(path, { method: 'PATCH', headers, body: file.slice(offset, offset + PIECE_BYTES) });
  } catch {
    return null;
  }
}

async function arrived(path) {
  try {
    const answer = await fetch(path, { method: 'HEAD', headers: TUS, cache: 'no-store' });
    return answer.ok ? Number(answer.headers.get('upload-offset')) : null;
  } catch {
    return null;
  }
}

const pause = () => new Promise((resolve) => { setTimeout(resolve, PAUSE_MS); });
