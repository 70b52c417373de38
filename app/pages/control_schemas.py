"""What a moderator behind a link sends, and is told."""

from marshmallow import fields, validate

from app.moderation.schemas import MuteIn, ReasonIn, RemoveIn, UnmuteIn
from app.participants.schemas import ROLES
from app.web.schemas import Flag, In, Moment, Out


class NamedIn(In):
    """About whom."""

    participant_id = fields.UUID(required=True)


class MutePersonIn(NamedIn, MuteIn):
    """Whom to mute, and what of them."""


class AskPersonIn(NamedIn, UnmuteIn):
    """Whom to ask, and for what."""


class RemovePersonIn(NamedIn, RemoveIn):
    """Whom to remove, and for how long."""


class ModeratorIn(NamedIn):
    """Who moderates, or does not any more."""

    moderator = Flag(required=True)


class EndIn(ReasonIn):
    """Why the session ends, told to everybody."""


class DoneOut(Out):
    """That it is decided; the status says whether the room has confirmed it."""

    session_id = fields.UUID(required=True)


class PersonInsideOut(Out):
    """Somebody in the room."""

    participant_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = fields.String(required=True)
    moderator = fields.Boolean(required=True)
    since = Moment(required=True)


class PeopleOut(Out):
    """Who is in the room, in order of arrival, and what is moderated there."""

    people = fields.List(fields.Nested(PersonInsideOut), required=True)
    audio_moderated = fields.Boolean(required=True)
    video_moderated = fields.Boolean(required=True)
