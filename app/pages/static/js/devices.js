/** Camera and microphone: asked for once, at the click, before anything is sent anywhere. */

/** Tell whether this browser can make a call at all. */
export function canCall() {
  return Boolean(window.RTCPeerConnection && navigator.mediaDevices?.getUserMedia);
}

/** Tell whether this browser can share a screen (phones mostly cannot). */
export function canShare() {
  return Boolean(navigator.mediaDevices?.getDisplayMedia);
}

/**
 * Try to open the wanted devices and give them back at once; the meeting opens its own.
 * @param {{audio: boolean, video: boolean}} wanted
 * @returns {Promise<boolean>} false when refused, missing or busy.
 */
export async function tryDevices(wanted) {
  if (!wanted.audio && !wanted.video) {
    return true;
  }
  try {
    const stream = await navigator.mediaDevices.getUserMedia(wanted);
    stream.getTracks().forEach((track) => track.stop());
    return true;
  } catch {
    return false;
  }
}
