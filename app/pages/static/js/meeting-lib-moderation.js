/** What the room's moderators say about our microphone and camera. The library passes it on; obeying is ours. */

const KINDS = ['audio', 'video'];

/**
 * Return the keeper of what we may switch on in `meeting`. Emits `moderated` {kind, on, allowed} and
 * `asked` {kind}.
 */
export function makeModeration(meeting) {
  const media = Object.fromEntries(KINDS.map((kind) => [kind, { on: false, allowed: false }]));
  const allows = (kind) => !media[kind].on || media[kind].allowed || Boolean(meeting.conference?.isModerator());

  const tell = (kind) => meeting.emitter.emit('moderated', { kind, on: media[kind].on, allowed: allows(kind) });

  const change = (kind, values) => {
    Object.assign(media[kind], values);
    if (!allows(kind)) {
      meeting.own.set(kind, false);
    }
    tell(kind);
  };

  return {
    listen(on) {
      on('AV_MODERATION_CHANGED', ({ mediaType, enabled }) => change(mediaType, { on: enabled, allowed: false }));
      on('AV_MODERATION_REJECTED', ({ mediaType }) => change(mediaType, { allowed: false }));
      on('AV_MODERATION_APPROVED', ({ mediaType }) => {
        media[mediaType].allowed = true;
        meeting.emitter.emit('asked', { kind: mediaType });
      });
    },

    /** Switch a device; what is not allowed is said and not done. */
    async set(kind, on) {
      if (on && !allows(kind)) {
        tell(kind);
        return;
      }
      await meeting.own.set(kind, on);
    },
  };
}
