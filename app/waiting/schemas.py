"""The waiting room as the API shows it."""

from marshmallow import fields, validate

from app.participants.schemas import ROLES
from app.rooms.schemas import LooseUuid, RoomSchema, Word
from app.web.schemas import In, Moment, Out, Text

DECISIONS = ("admitted", "denied")


class PersonOut(Out):
    """Somebody of the waiting room."""

    participant_id = fields.UUID(required=True)
    display_name = fields.String(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    reference = fields.String(required=True, allow_none=True)
    since = Moment(required=True)


class WaitingPersonOut(PersonOut):
    """Somebody who waits now."""

    place = fields.Integer(required=True, metadata={"description": "1 is next."})
    waited_s = fields.Integer(required=True)


class QueueOut(Out):
    """Who waits now, who came first first."""

    items = fields.List(fields.Nested(WaitingPersonOut), required=True)


class DecidedOut(PersonOut):
    """What was decided about somebody who waited."""

    state = fields.String(required=True, validate=validate.OneOf(DECISIONS))
    decided_at = Moment(required=True)


class DenyIn(In):
    """What the person is told, and nobody else; it is in no event and in no log."""

    message = Text(load_default="", shortest=0)


class InCallIn(RoomSchema):
    """What a moderator did with Jitsi's own controls, as Prosody tells it."""

    room = Word(required=True)
    actor_id = LooseUuid(required=True, allow_none=True)
    participant_id = LooseUuid(required=True, allow_none=True)
    decision = fields.String(required=True, validate=validate.OneOf(DECISIONS))
