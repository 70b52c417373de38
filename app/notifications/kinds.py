"""Every kind of message: what calls for it, whom it is for, and how much it may wait."""

from dataclasses import dataclass
from enum import StrEnum


class Kind(StrEnum):
    """What a message is about."""

    INVITATION = "invitation"
    REMINDER = "reminder"
    STARTED = "started"
    PATIENT_WAITING = "patient_waiting"
    DISCONNECTED = "disconnected"
    ENDED_UNEXPECTEDLY = "ended_unexpectedly"
    CANCELLED = "cancelled"
    RESCHEDULED = "rescheduled"
    LINK_REPLACED = "link_replaced"
    CONSENT_ASKED = "consent_asked"


class Channel(StrEnum):
    """How a message travels."""

    EMAIL = "email"
    SMS = "sms"
    SERVICE = "service"


class Dropped(StrEnum):
    """Why a message was not sent after all."""

    REMOVED = "removed"
    SESSION_OVER = "session_over"
    NO_ADDRESS = "no_address"
    UNSUBSCRIBED = "unsubscribed"
    INSIDE = "inside"
    NO_LINK = "no_link"
    SUPERSEDED = "superseded"
    TOO_LATE = "too_late"
    OVERTAKEN = "overtaken"
    NOBODY_WAITS = "nobody_waits"
    TOLD_ALREADY = "told_already"
    CAME_BACK = "came_back"


@dataclass(frozen=True, slots=True)
class Rule:
    """`urgent`: about a call that goes on now, so it waits for nothing. `asked_for`: somebody just
    asked for it, so only hours of rest that the person chose hold it back. `answers_absence`: it is
    pointless for whoever is inside."""

    urgent: bool = False
    asked_for: bool = False
    answers_absence: bool = False
    optional: bool = True


RULES = {
    Kind.INVITATION: Rule(asked_for=True, optional=False),
    Kind.REMINDER: Rule(answers_absence=True),
    Kind.STARTED: Rule(urgent=True, answers_absence=True),
    Kind.PATIENT_WAITING: Rule(urgent=True, answers_absence=True),
    Kind.DISCONNECTED: Rule(urgent=True, answers_absence=True, optional=False),
    Kind.ENDED_UNEXPECTEDLY: Rule(urgent=True, answers_absence=True, optional=False),
    Kind.CANCELLED: Rule(optional=False),
    Kind.RESCHEDULED: Rule(optional=False),
    Kind.LINK_REPLACED: Rule(asked_for=True, optional=False),
    Kind.CONSENT_ASKED: Rule(urgent=True, optional=False),
}
# Who was removed gets no message: the page has told them, and a mailbox is read by others.
KIND_OF_EVENT = {
    "participant.invited": Kind.INVITATION,
    "link.replaced": Kind.LINK_REPLACED,
    "session.started": Kind.STARTED,
    "session.cancelled": Kind.CANCELLED,
    "session.updated": Kind.RESCHEDULED,
    "appointment.cancelled": Kind.CANCELLED,
    "appointment.rescheduled": Kind.RESCHEDULED,
    "session.interrupted": Kind.ENDED_UNEXPECTEDLY,
    "participant.left": Kind.DISCONNECTED,
    "participant.waiting": Kind.PATIENT_WAITING,
    "consent.asked": Kind.CONSENT_ASKED,
}
# Why the service cancels by itself what nobody came to: hours later that is news to nobody.
CLOSED_AFTERWARDS = frozenset({"no_show", "forgotten"})
# What may move a reminder, or whom it goes to, and how.
PLANNING_EVENTS = frozenset(
    {
        "participant.invited",
        "participant.updated",
        "participant.removed",
        "session.updated",
        "session.started",
        "session.ended",
        "session.cancelled",
        "appointment.rescheduled",
    }
)
