/** Waiting times between attempts: 1, 2, 4, 8, then every 10 seconds. */

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

export function makeBackoff() {
  let next = FIRST_MS;
  return {
    /** Wait before the next attempt; ends early as `rest` does. */
    async pause(signal) {
      const wait = next;
      next = Math.min(next * 2, LONGEST_MS);
      await rest(wait, signal);
    },
    reset() {
      next = FIRST_MS;
    },
  };
}

/** Wait so long; ends early when the network comes back, or when `signal` says that nobody waits any more. */
export const rest = (wait, signal) => new Promise((resolve) => {
  const timer = setTimeout(done, wait);
  window.addEventListener('online', done);
  signal?.addEventListener('abort', done);
  if (signal?.aborted) {
    done();
  }

  function done() {
    clearTimeout(timer);
    window.removeEventListener('online', done);
    signal?.removeEventListener('abort', done);
    resolve();
  }
});
