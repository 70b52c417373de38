"""Participants as the API takes and gives them. The link is shown once, when it is made."""

from functools import cache
from typing import Any
from zoneinfo import available_timezones

import phonenumbers
from marshmallow import ValidationError, fields, validate

from app.participants.permissions import Permission, Role
from app.recordings.states import State as RecordingState
from app.sessions.schemas import SessionOut
from app.sessions.states import State
from app.web.schemas import ONE_LINE, Flag, In, Moment, Out, PageIn, PageOut, Text, Whole

LOCALES = ("en", "de", "fr")
ROLES = [str(role) for role in Role]
REASONS_TO_WAIT = ("too-early", "not-admitted", "consent-missing", "waiting-for-host")
CONSENTS = ("missing", "given", "refused", "withdrawn")
STATES = ("invited", "joined", "left", "removed")
# RFC 5321 allows control characters in quotes; no mail server takes them.
EMAIL = [validate.Length(max=254), ONE_LINE]
CHANNELS = ("email", "sms", "service")
OPTIONAL_KINDS = ("reminder", "started", "patient_waiting")
WALL_CLOCK = Whole(r"^([01]\d|2[0-3]):[0-5]\d$", error="Hours and minutes, such as 21:30.")


def once_each(values: list[str]) -> None:
    """Refuse a list that names something twice.

    Raises:
        ValidationError: it does.
    """
    if len(set(values)) < len(values):
        raise ValidationError("Name each once.")


PermissionsIn = In.from_dict({str(p): Flag() for p in Permission}, name="PermissionsIn")


class Phone(fields.String):
    """A phone number with its country, kept as E.164 (+4930123456)."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        try:
            number = phonenumbers.parse(text)
        except phonenumbers.NumberParseException as error:
            raise ValidationError("A phone number begins with + and the country.") from error
        if not phonenumbers.is_valid_number(number):
            raise ValidationError("There is no such phone number.")
        return phonenumbers.format_number(number, phonenumbers.PhoneNumberFormat.E164)


class Timezone(fields.String):
    """A name of the tz database."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> str:
        text = super()._deserialize(value, attr, data, **kwargs)
        if text not in _timezones():
            raise ValidationError("Use a name of the tz database, such as Europe/Berlin.")
        return text


class Preferences(In):
    """How and when a person wants to be reached. What is null is as the organisation has it."""

    phone = Phone(
        allow_none=True,
        metadata={"description": "With country, kept as E.164.", "format": "phone"},
    )
    channels = fields.List(
        fields.String(validate=validate.OneOf(CHANNELS)),
        allow_none=True,
        validate=once_each,
        metadata={
            "description": "The best first; null: e-mail, SMS, the hospital's service.",
            "uniqueItems": True,
        },
    )
    quiet_from = fields.String(allow_none=True, validate=WALL_CLOCK)
    quiet_to = fields.String(allow_none=True, validate=WALL_CLOCK)
    timezone = Timezone(
        allow_none=True,
        metadata={"description": "A name of the tz database.", "format": "time-zone"},
    )
    unsubscribed = fields.List(
        fields.String(validate=validate.OneOf(OPTIONAL_KINDS)),
        validate=once_each,
        metadata={"uniqueItems": True},
    )


@cache
def _timezones() -> frozenset[str]:
    return frozenset(available_timezones())


class ParticipantIn(Preferences):
    """A person to invite."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = Text(required=True, longest=80)
    email = fields.Email(load_default=None, allow_none=True, validate=EMAIL)
    locale = fields.String(load_default="en", validate=validate.OneOf(LOCALES))
    reference = Text(load_default=None, allow_none=True, longest=64)


class ParticipantPatch(Preferences):
    """What may be changed; what is left out stays."""

    display_name = Text(longest=80)
    email = fields.Email(allow_none=True, validate=EMAIL)
    locale = fields.String(validate=validate.OneOf(LOCALES))
    permissions = fields.Nested(
        PermissionsIn,
        metadata={"description": "Single permissions granted (true) or taken (false)."},
    )


class ParticipantOut(Out):
    """A person in a session."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    display_name = fields.String(required=True)
    email = fields.String(allow_none=True)
    locale = fields.String(required=True)
    reference = fields.String(allow_none=True)
    phone = fields.String(allow_none=True)
    channels = fields.List(fields.String(), allow_none=True)
    quiet_from = fields.String(allow_none=True)
    quiet_to = fields.String(allow_none=True)
    timezone = fields.String(allow_none=True)
    unsubscribed = fields.List(fields.String(), required=True)
    permissions = fields.Dict(keys=fields.String(), values=fields.Boolean())
    version = fields.Integer(required=True)
    created_at = Moment(required=True)
    removed_at = Moment(allow_none=True)
    removed_until = Moment(
        allow_none=True, metadata={"description": "May come back then; null: never."}
    )


class InvitedOut(ParticipantOut):
    """A person with the link just made for them; it is not shown again."""

    link = fields.Url(required=True, require_tld=False)
    link_expires_at = Moment(required=True)


class ParticipantPageOut(PageOut):
    """One page of participants, newest first."""

    items = fields.List(fields.Nested(ParticipantOut), required=True)


class ParticipantQuery(PageIn):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(STATES))


class LiveSessionOut(SessionOut):
    """A session and who is in its room right now."""

    present = fields.List(fields.UUID(), required=True)


class MeetingOut(Out):
    """Where the room is; `public_url` is empty where no Jitsi web application runs."""

    public_url = fields.String(required=True)
    domain = fields.String(required=True)
    muc = fields.String(required=True)
    focus = fields.String(required=True)
    hidden = fields.String(
        required=True, metadata={"description": "Whose participants are recorders, not people."}
    )
    websocket_url = fields.String(required=True)


class PlaceOut(Out):
    """Where somebody stands in the queue of the waiting room."""

    place = fields.Integer(required=True, metadata={"description": "1 is next."})
    ahead = fields.Integer(required=True)
    estimate_s = fields.Integer(
        required=True,
        allow_none=True,
        metadata={
            "description": "Seconds until they are let in, by the pace of this session's latest"
            " admissions; null when there is no ground to say."
        },
    )
    since = Moment(required=True)


class EntryOut(Out):
    """`ready` with a Jitsi token and where to use it, or `waiting` with the reason."""

    state = fields.String(required=True, validate=validate.OneOf(["ready", "waiting"]))
    reason = fields.String(validate=validate.OneOf(REASONS_TO_WAIT))
    opens_at = Moment(allow_none=True)
    poll_s = fields.Integer(metadata={"description": "Seconds until asking again."})
    waiting = fields.Nested(PlaceOut, allow_none=True)
    room = fields.String()
    jwt = fields.String()
    expires_at = Moment()
    display_name = fields.String()
    role = fields.String(validate=validate.OneOf(ROLES))
    permissions = fields.List(fields.String(validate=validate.OneOf([str(p) for p in Permission])))
    language = fields.String(validate=validate.OneOf(LOCALES))
    jitsi = fields.Nested(MeetingOut)
    links = fields.Dict(
        fields.String(), fields.String(), metadata={"description": "Of `web`, `android`, `ios`."}
    )


class RecordedOut(Out):
    """How this person stands to being recorded."""

    state = fields.String(
        required=True,
        validate=validate.OneOf(["", *RecordingState]),
        metadata={"description": "Of the session's newest recording; empty without one."},
    )
    reason = fields.String(
        required=True, allow_none=True, metadata={"description": "Why it stands there."}
    )
    consent = fields.String(required=True, validate=validate.OneOf(CONSENTS))
    is_asked = fields.Boolean(
        required=True, metadata={"description": "They should be asked now, and have not answered."}
    )


class DoorOut(Out):
    """Whether the person behind a link may enter now; `reason` is empty when so."""

    session_state = fields.String(required=True, validate=validate.OneOf(list(State)))
    participant_state = fields.String(required=True, validate=validate.OneOf(STATES))
    may_enter = fields.Boolean(required=True)
    reason = fields.String(required=True)
    waiting = fields.Nested(PlaceOut, required=True, allow_none=True)
    recording = fields.Nested(RecordedOut, required=True)
    message = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What a moderator told the person who was denied."},
    )
