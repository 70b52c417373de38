/** Keeps a phone's screen on while a call runs; a browser that cannot do that is left alone. */

let lock = null;
let wanted = false;

export function stayAwake(on) {
  wanted = on;
  if (on) {
    acquire();
  } else {
    lock?.release().catch(() => {});
    lock = null;
  }
}

async function acquire() {
  try {
    lock = await navigator.wakeLock.request('screen');
  } catch {
    lock = null; // unsupported, or the battery is low
  }
}

// The browser lets go when the page is hidden.
document.addEventListener('visibilitychange', () => wanted && !document.hidden && acquire());
