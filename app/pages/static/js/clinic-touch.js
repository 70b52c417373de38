/** Whether a person is there: an open page that only asks by itself keeps nobody signed in. */

const SIGNS = ['pointerdown', 'click', 'keydown', 'wheel', 'touchmove'];
let touched = true;

SIGNS.forEach((sign) => addEventListener(sign, touch, { passive: true }));
document.addEventListener('visibilitychange', () => !document.hidden && touch());

/** Somebody did something. */
export function touch() {
  touched = true;
}

/** Tell whether somebody did something since this was asked last. */
export function takeTouch() {
  const was = touched;
  touched = false;
  return was;
}
