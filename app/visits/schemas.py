"""Visits as the API gives them."""

from marshmallow import fields, validate

from app.appointments.states import Status
from app.sessions.states import State
from app.web.schemas import Moment, Out

WHO = {"description": "Role and id; names are read from the session's participants."}


class ExpectedOut(Out):
    """Somebody who is not in the room."""

    participant_id = fields.UUID(required=True)
    role = fields.String(required=True)


class PresentOut(ExpectedOut):
    """Somebody in the room."""

    since = Moment(required=True)


class CountsOut(Out):
    """How many."""

    present = fields.Integer(required=True)
    late = fields.Integer(required=True)
    waiting = fields.Integer(required=True)


class VisitOut(Out):
    """How a visit stands. `status` is the appointment's, and follows `session_state`."""

    appointment_id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    status = fields.String(required=True, validate=validate.OneOf(list(Status)))
    session_state = fields.String(required=True, validate=validate.OneOf(list(State)))
    since = Moment(required=True, metadata={"description": "Of the status."})
    reason = fields.String(allow_none=True)
    planned_start = Moment(required=True)
    planned_end = Moment(required=True)
    started_at = Moment(allow_none=True)
    ended_at = Moment(allow_none=True)
    present = fields.List(fields.Nested(PresentOut), required=True, metadata=WHO)
    late = fields.List(
        fields.Nested(ExpectedOut),
        required=True,
        metadata={"description": "Who has not come yet, `late_after_s` after the planned start."},
    )
    waiting = fields.List(
        fields.Nested(ExpectedOut),
        required=True,
        metadata={"description": "Who waits to be admitted."},
    )
    counts = fields.Nested(CountsOut, required=True)
    overrun_s = fields.Integer(
        required=True, metadata={"description": "Seconds past the planned end while it goes on."}
    )
