/** Let an old meeting go only when the new one carries the media, so that nobody sees a gap. */

const LOOK_MS = 500;
// The other side may start to receive a little later than we do.
const GRACE_MS = 2500;
const STILL_LOOKS = 10;

/**
 * Close `old` after `fresh` has received media, or after `old` has received nothing for ten looks.
 * @param {Function} promote called when `fresh` is to be shown.
 */
export async function retire(old, fresh, promote) {
  const seen = { bytes: -1, still: 0 };
  while (!(await receives(fresh)) && !(await isStill(old, seen))) {
    await pause(LOOK_MS);
  }
  promote();
  await pause(GRACE_MS);
  await old.close();
}

async function receives(meeting) {
  const { framesDecoded, audioPackets } = await meeting.mediaStats();
  return framesDecoded > 0 || audioPackets > 0;
}

/** Tell whether `meeting` has received nothing at all for ten looks; `seen` is the caller's memory of them. */
export async function isStill(meeting, seen) {
  const { bytes } = await meeting.mediaStats();
  seen.still = bytes === seen.bytes ? seen.still + 1 : 0;
  seen.bytes = bytes;
  return seen.still >= STILL_LOOKS;
}

const pause = (ms) => new Promise((done) => { setTimeout(done, ms); });
