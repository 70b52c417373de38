/** Waiting times between attempts: 1, 2, 4, 8, then every 10 seconds. */

const FIRST_MS = 1000;
const LONGEST_MS = 10_000;

export function makeBackoff() {
  let next = FIRST_MS;
  return {
    /** Wait before the next attempt; ends early when the network comes back. */
    async pause() {
      const wait = next;
      next = Math.min(next * 2, LONGEST_MS);
      await new Promise((done) => {
        setTimeout(done, wait);
        window.addEventListener('online', done, { once: true });
      });
    },
    reset() {
      next = FIRST_MS;
    },
  };
}
