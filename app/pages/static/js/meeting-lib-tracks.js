/** Our own microphone, camera and screen in a lib-jitsi-meet meeting. */

const CAMERA = { height: { ideal: 480, max: 720, min: 180 }, facingMode: 'user' };
const KINDS = ['audio', 'video'];

/** Return the holder of our tracks for `meeting`; every meeting opens its own. */
export function makeOwnTracks(meeting) {
  const tracks = { audio: null, video: null, screen: null };
  const muted = { audio: false, video: false };
  return {
    open: (wishes) => open(meeting, tracks, muted, wishes),
    addAll: () => Promise.all(present(tracks).map((track) => add(meeting, track))),
    set: (kind, on) => set(meeting, tracks, kind, on),
    share: (on) => share(meeting, tracks, on),
    report: () => report(meeting, tracks),
    dispose: () => Promise.all(Object.keys(tracks).map((kind) => drop(tracks, kind))),
  };
}

async function open(meeting, tracks, muted, wishes) {
  Object.assign(muted, wishes.muted);
  const kinds = KINDS.filter((kind) => wishes[kind] && !(kind === 'video' && muted.video));
  for (const track of await obtain(meeting, kinds)) {
    tracks[track.getType()] = track;
  }
  if (meeting.over) {
    await Promise.all(KINDS.map((kind) => drop(tracks, kind)));
  } else {
    if (muted.audio) {
      await tracks.audio?.mute();
    }
    report(meeting, tracks);
  }
}

async function obtain({ library }, kinds) {
  if (!kinds.length) {
    return [];
  }
  const create = (devices) => library.createLocalTracks({ devices, constraints: { video: CAMERA } });
  try {
    return await create(kinds);
  } catch {
    // One device may have gone since it was tried: what is left is better than nothing.
    const each = await Promise.allSettled(kinds.map((kind) => create([kind])));
    return each.flatMap((result) => result.value ?? []);
  }
}

/**
 * Without a bridge session the library never tells the others that our devices are on, and they count
 * as off until told: so it is said in the presence we enter with.
 */
async function add({ conference }, track) {
  await conference.addTrack(track);
  conference._setTrackMuteStatus(track.getType(), track, track.isMuted());
}

async function set(meeting, tracks, kind, on) {
  const track = tracks[kind];
  if (track) {
    await (on ? track.unmute() : track.mute());
  } else if (on) {
    const [fresh] = await meeting.library.createLocalTracks({ devices: [kind], constraints: { video: CAMERA } });
    tracks[kind] = fresh;
    if (!(kind === 'video' && tracks.screen)) {
      await add(meeting, fresh);
      meeting.conference.room.sendPresence();
    }
  }
  report(meeting, tracks);
}

async function share(meeting, tracks, on) {
  if (on === Boolean(tracks.screen)) {
    return;
  }
  await (on ? startSharing(meeting, tracks) : stopSharing(meeting, tracks));
  report(meeting, tracks);
  meeting.emitter.emit('sharing', { on });
}

async function startSharing(meeting, tracks) {
  const captured = await meeting.library.createLocalTracks({ devices: ['desktop'] });
  const screen = captured.find((track) => track.getType() === 'video');
  captured.filter((track) => track !== screen).forEach((track) => track.dispose());
  tracks.screen = screen;
  screen.on(meeting.library.events.track.LOCAL_TRACK_STOPPED, () => share(meeting, tracks, false));
  await meeting.conference.replaceTrack(tracks.video, screen);
  tellScreen(meeting, screen, false);
}

async function stopSharing(meeting, tracks) {
  const { screen } = tracks;
  tracks.screen = null;
  await meeting.conference.replaceTrack(screen, tracks.video);
  tellScreen(meeting, tracks.video, tracks.video?.isMuted() ?? true);
  await screen.dispose();
}

/** Replacing nothing by a screen is not announced by the library either. */
function tellScreen({ conference }, track, muted) {
  conference._setTrackMuteStatus('video', track, muted);
  conference._setNewVideoType(track ?? undefined);
  conference.room.sendPresence();
}

function report({ emitter }, tracks) {
  for (const kind of KINDS) {
    emitter.emit('own-muted', { kind, muted: tracks[kind]?.isMuted() ?? true });
  }
  const shown = tracks.screen ?? tracks.video;
  emitter.emit('own-video', {
    stream: shown && !shown.isMuted() ? shown.getOriginalStream() : null,
    screen: Boolean(tracks.screen),
  });
}

async function drop(tracks, kind) {
  const track = tracks[kind];
  tracks[kind] = null;
  await track?.dispose().catch(() => {});
}

const present = (tracks) => KINDS.map((kind) => tracks[kind]).filter(Boolean);
