"""Sessions as the API takes and gives them."""

from marshmallow import fields, validate

from app.sessions.states import State
from app.web.schemas import Count, Flag, In, Moment, Out, PageIn, PageOut, Text

KINDS = ("consultation", "emergency")
MAX_CAPACITY = 100
RECORDINGS = ("none", "planned")
RECORDING_MEANS = (
    "`planned`: everybody is asked on the way in whether they may be recorded. Without it they are"
    " asked when somebody wants to record."
)
WAITING_ROOM_MEANS = (
    "Who may not enter without a host waits until a moderator admits them. Otherwise they come in"
    " as soon as a host is there."
)


class SessionIn(In):
    """A session to create. Without `planned_start` it is open at once."""

    kind = fields.String(load_default="consultation", validate=validate.OneOf(KINDS))
    planned_start = Moment(load_default=None, allow_none=True)
    planned_end = Moment(load_default=None, allow_none=True)
    capacity = Count(validate=validate.Range(1, MAX_CAPACITY))
    waiting_room = Flag(
        metadata={
            "description": f"{WAITING_ROOM_MEANS} Left out, the organisation's policy decides."
        }
    )
    recording = fields.String(
        load_default="none",
        validate=validate.OneOf(RECORDINGS),
        metadata={"description": RECORDING_MEANS},
    )
    reference = Text(
        load_default=None,
        allow_none=True,
        longest=64,
        metadata={"description": "Your id of the visit or case; opaque to us. No names."},
    )


class SessionPatch(In):
    """What may be changed; what is left out stays."""

    planned_start = Moment(allow_none=False)
    planned_end = Moment(allow_none=True)
    capacity = Count(validate=validate.Range(1, MAX_CAPACITY))
    waiting_room = Flag(metadata={"description": WAITING_ROOM_MEANS})
    recording = fields.String(
        validate=validate.OneOf(RECORDINGS), metadata={"description": RECORDING_MEANS}
    )
    reference = Text(allow_none=True, longest=64)


class SessionOut(Out):
    """A session with its live state."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(State)))
    reference = fields.String(allow_none=True)
    room_name = fields.String(required=True)
    capacity = fields.Integer(required=True)
    waiting_room = fields.Boolean(required=True)
    recording = fields.String(required=True, validate=validate.OneOf(RECORDINGS))
    planned_start = Moment(allow_none=True)
    planned_end = Moment(allow_none=True)
    started_at = Moment(allow_none=True)
    ended_at = Moment(allow_none=True)
    end_reason = fields.String(allow_none=True)
    version = fields.Integer(required=True)
    created_at = Moment(required=True)


class SessionQuery(PageIn):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(list(State)))
    kind = fields.String(validate=validate.OneOf(KINDS))
    reference = Text(longest=64)


class SessionPageOut(PageOut):
    """One page of sessions, newest first."""

    items = fields.List(fields.Nested(SessionOut), required=True)
