"""Attendance as the API gives it."""

from marshmallow import fields, validate

from app.participants.schemas import ROLES, STATES
from app.sessions.states import State
from app.web.schemas import Moment, Out

OUTCOMES = ("expected", "present", "attended", "absent")


class IntervalOut(Out):
    """A time during which the person was in the room, on one device or several."""

    joined_at = Moment(required=True)
    left_at = Moment(required=True, allow_none=True)
    leave_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "Of `left`, `kicked`, `replaced`, `disconnected`, `ended`."},
    )
    connections = fields.Integer(required=True)


class PersonOut(Out):
    """One person's attendance. `expected`: has not come yet, and still may."""

    participant_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    reference = fields.String(required=True, allow_none=True)
    display_name = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    first_joined_at = Moment(required=True, allow_none=True)
    last_left_at = Moment(
        required=True, allow_none=True, metadata={"description": "null while somebody is inside."}
    )
    present_s = fields.Integer(required=True)
    interruptions = fields.Integer(required=True)
    late_s = fields.Integer(
        required=True,
        allow_none=True,
        metadata={"description": "Seconds after the planned start; null when in time."},
    )
    intervals = fields.List(fields.Nested(IntervalOut), required=True)


class AttendanceOut(Out):
    """Who was in a session's room, when, and for how long."""

    session_id = fields.UUID(required=True)
    session_state = fields.String(required=True, validate=validate.OneOf(list(State)))
    planned_start = Moment(required=True, allow_none=True)
    planned_end = Moment(required=True, allow_none=True)
    started_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)
    overrun_s = fields.Integer(
        required=True,
        metadata={"description": "Seconds somebody was inside after the planned end."},
    )
    people = fields.List(fields.Nested(PersonOut), required=True)
