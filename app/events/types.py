"""Every type of event, what it says and what its `data` holds. Documentation and check in one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class EventType:
    """One kind of fact. `data` names the members beside `session_id`."""

    name: str
    meaning: str
    data: tuple[str, ...] = ()


_OF = ("reference",)
_PERSON = ("participant_id", "role", "participant_reference")

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
            "session.interrupted",
            "The room died while people were in it, and nobody had ordered that.",
            ("participant_ids",),
        ),
        EventType("participant.invited", "A person was given a link.", _PERSON),
        EventType("participant.updated", "A person's rights or data changed.", _PERSON),
        EventType("participant.joined", "A person came into the room.", _PERSON),
        EventType("participant.left", "A person is no longer in the room.", (*_PERSON, "reason")),
        EventType("participant.removed", "A person was removed for good.", _PERSON),
        EventType("participant.refused", "A person was not let into the room.", (*_PERSON, "code")),
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
            "notification.requested",
            "A person is sent their invitation once more.",
            (*_PERSON, "kind", "channel"),
        ),
        EventType(
            "notification.failed",
            "A person could not be told something over any channel.",
            (*_PERSON, "kind", "channel", "code"),
        ),
        EventType("room.message_sent", "The service wrote into the room; the text is not kept."),
    )
}
