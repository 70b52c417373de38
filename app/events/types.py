"""Every type of event, what it says and what its `data` holds. Documentation and check in one."""

from collections.abc import Collection
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of fact. `data` names the members beside `session_id`."""

    name: str
    meaning: str
    data: tuple[str, ...] = ()


_OF = ("reference",)
_PERSON = ("participant_id", "role", "participant_reference")
_CONSENT = (*_PERSON, "purpose", "consent_channel", "language", "text_sha256")
_RECORDING = ("recording_id", "reason")
_RECORDED = ("recording_id", "recording_file_id", "reason")
_HOLD = ("hold_id", "reason")
_FILE = ("file_id", "file_kind")
_VISIT = ("appointment_id", "reference")
_TIMES = ("planned_start", "planned_end")

EVENT_TYPES: dict[str, EventType] = {
    t.name: t
    for t in (
        EventType("session.created", "A session was planned or opened.", (*_OF, "kind", "state")),
        EventType(
            "session.updated",
            "Plan, capacity or reference of a session changed.",
            (*_OF, "changed"),
        ),
        EventType("session.started", "The session is open.", (*_OF, "started_by")),
        EventType("session.ended", "The session is over for everybody.", (*_OF, "reason")),
        EventType("session.cancelled", "The session will not take place.", (*_OF, "reason")),
        EventType(
            "session.overrun",
            "People are in the room past its planned end; told once.",
            (*_OF, "planned_end"),
        ),
        EventType(
            "session.interrupted",
            "The room died while people were in it, and nobody had ordered that.",
            ("participant_ids",),
        ),
        EventType("participant.invited", "A person was given a link.", _PERSON),
        EventType("participant.updated", "A person's rights or data changed.", _PERSON),
        EventType("participant.joined", "A person came into the room.", _PERSON),
        EventType("participant.left", "A person is no longer in the room.", (*_PERSON, "reason")),
        EventType(
            "participant.removed",
            "A person was removed: for good, or until a moment.",
            (*_PERSON, "until"),
        ),
        EventType("participant.waiting", "A person waits to be admitted to the room.", _PERSON),
        EventType("participant.admitted", "A moderator let a person in.", (*_PERSON, "by")),
        EventType("participant.denied", "A moderator did not let a person in.", (*_PERSON, "by")),
        EventType(
            "participant.refused", "A person was refused an entry or an act.", (*_PERSON, "code")
        ),
        EventType("participant.muted", "A person was muted by a moderator.", (*_PERSON, "media")),
        EventType("participant.unmute_asked", "A person was asked to unmute.", (*_PERSON, "media")),
        EventType(
            "participant.moderator_changed",
            "A person may moderate now, or may not any more.",
            (*_PERSON, "moderator"),
        ),
        EventType("consent.asked", "A person was shown what they may agree to.", _CONSENT),
        EventType("consent.given", "A person agreed.", _CONSENT),
        EventType("consent.refused", "A person did not agree.", _CONSENT),
        EventType("consent.withdrawn", "A person took back what they had agreed to.", _CONSENT),
        EventType("recording.requested", "Somebody wants to record.", _RECORDING),
        EventType("recording.waiting", "A recording waits; the reason says for what.", _RECORDING),
        EventType(
            "recording.starting", "Everybody agrees, and a recorder is asked for.", _RECORDING
        ),
        EventType("recording.started", "The session is being recorded.", _RECORDING),
        EventType(
            "recording.recorder_lost", "The recorder is gone; Jitsi looks for another.", _RECORDING
        ),
        EventType("recording.stopping", "The recording was told to stop.", _RECORDING),
        EventType("recording.stopped", "Nothing is recorded any more.", _RECORDING),
        EventType("recording.failed", "Nothing was recorded, or it is lost.", _RECORDING),
        EventType("recording.file_registered", "A recorder hands over its file.", _RECORDED),
        EventType(
            "recording.file_missing", "No recorder has handed over a file so far.", _RECORDING
        ),
        EventType(
            "recording.found", "There is work on a file of a recording that failed.", _RECORDING
        ),
        EventType("recording.file_available", "A file of a recording can be seen.", _RECORDED),
        EventType(
            "recording.file_withheld", "A file waits for a person to decide about it.", _RECORDED
        ),
        EventType("recording.file_released", "A person let a withheld file be seen.", _RECORDED),
        EventType("recording.file_failed", "Nothing can be made of a file.", _RECORDED),
        EventType("recording.available", "There is a file of the recording.", _RECORDING),
        EventType("recording.expired", "Its time was over; nobody can read it.", _RECORDING),
        EventType("recording.deleted", "Somebody deleted it; nobody can read it.", _RECORDING),
        EventType(
            "recording.viewed",
            "Somebody began to watch a recording with a link.",
            ("recording_id", "playback_link_id"),
        ),
        EventType("hold.placed", "Nothing of the session is deleted until the release.", _HOLD),
        EventType("hold.released", "A legal hold is over; what is past its time goes.", _HOLD),
        EventType("link.replaced", "A person's link was replaced; the old one is dead.", _PERSON),
        EventType(
            "emergency.entered",
            "Somebody enters an emergency uninvited; the entry waits for its review.",
            ("participant_id", "role", "entry_id"),
        ),
        EventType(
            "emergency.reviewed",
            "An uninvited entry was signed off.",
            ("participant_id", "entry_id", "outcome"),
        ),
        EventType(
            "room.av_moderation_changed",
            "Microphones or cameras became moderated, or free, or somebody may use them.",
            ("audio", "video", "audio_allowed", "video_allowed"),
        ),
        EventType(
            "notification.requested",
            "A person is sent their invitation once more.",
            (*_PERSON, "message", "channel"),
        ),
        EventType(
            "notification.failed",
            "A person could not be told something over any channel.",
            (*_PERSON, "message", "channel", "code"),
        ),
        EventType("room.message_sent", "The service wrote into the room; the text is not kept."),
        EventType(
            "appointment.created", "An appointment was made.", (*_VISIT, "visit_type", *_TIMES)
        ),
        EventType(
            "appointment.updated",
            "Kind or reference of an appointment changed.",
            (*_VISIT, "fields"),
        ),
        EventType(
            "appointment.rescheduled",
            "An appointment takes place at another time; the links stay valid.",
            (*_VISIT, *_TIMES, "previous_planned_start", "previous_planned_end"),
        ),
        EventType(
            "appointment.cancelled",
            "An appointment will not take place.",
            (*_VISIT, "reason", *_TIMES),
        ),
        EventType("appointment.arrived", "The patient has arrived.", _VISIT),
        EventType("appointment.no_show", "The patient did not come.", (*_VISIT, "reason")),
        EventType("visit.started", "The visit of an appointment began.", (*_VISIT, "started_by")),
        EventType("visit.completed", "The visit of an appointment is over.", (*_VISIT, "reason")),
        EventType("file.uploaded", "A file has arrived and is being checked.", _FILE),
        EventType("file.available", "A file was found to be good and can be opened.", _FILE),
        EventType(
            "file.refused", "A file was not what it should be; it is gone.", (*_FILE, "code")
        ),
        EventType("file.quarantined", "Malware was found in a file; nobody can get it.", _FILE),
        EventType(
            "file.viewed",
            "A person of the session opened a file for the first time.",
            (*_FILE, "participant_id"),
        ),
        EventType("file.deleted", "A file was deleted for good.", _FILE),
    )
}

# A whole family at once, also the types of it that are yet to come.
FAMILIES = tuple(sorted({f"{name.partition('.')[0]}.*" for name in EVENT_TYPES}))
PATTERNS = (*sorted(EVENT_TYPES), *FAMILIES)


def is_among(type_: str, patterns: Collection[str]) -> bool:
    """Tell whether a type is meant by any of these types and patterns; none of them means all."""
    return not patterns or type_ in patterns or f"{type_.partition('.')[0]}.*" in patterns


def types_among(patterns: Collection[str]) -> list[str]:
    """Return the types that are meant by these types and patterns."""
    return [name for name in EVENT_TYPES if is_among(name, patterns)]
