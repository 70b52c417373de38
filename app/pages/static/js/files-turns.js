/** Two files are sent at a time: the service has few places for bytes, and other people wait for them, too. */

const AT_ONCE = 2;
const waiting = [];
let sending = 0;

/** Wait for a turn, which must be left; tells whether it came before `signal` said that nobody wants it any more. */
export function takeTurn(signal) {
  if (sending < AT_ONCE) {
    sending += 1;
    return Promise.resolve(true);
  }
  return new Promise((resolve) => {
    const turn = () => resolve(true);
    waiting.push(turn);
    signal.addEventListener('abort', () => {
      if (waiting.includes(turn)) {
        waiting.splice(waiting.indexOf(turn), 1);
        resolve(false);
      }
    });
  });
}

/** Hand the turn on to who has waited longest. */
export function leaveTurn() {
  const next = waiting.shift();
  if (next) {
    next();
  } else {
    sending -= 1;
  }
}
