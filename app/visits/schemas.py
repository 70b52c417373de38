"""Visits as the API gives them."""

from datetime import timedelta

from marshmallow import fields, validate

from app.appointments.states import Status
from app.participants.schemas import ROLES
from app.sessions.states import State
from app.web.schemas import EARLIEST, LATEST, In, Moment, Out

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


class DayQuery(In):
    """Which day, and whose visits."""

    day = fields.Date(
        load_default=None,
        validate=validate.Range(EARLIEST.date(), LATEST.date() - timedelta(days=1)),
        metadata={"description": "In the organisation's time zone; left out: today."},
    )
    provider_id = fields.UUID(load_default=None)


class DayPersonOut(Out):
    """Somebody of a visit."""

    participant_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = fields.String(required=True)
    inside = fields.Boolean(required=True)
    waiting_since = Moment(required=True, allow_none=True)
    late = fields.Boolean(required=True)


class DayVisitOut(Out):
    """One visit of the day."""

    appointment_id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    visit_type = fields.String(required=True)
    patient = fields.String(required=True)
    provider = fields.String(required=True)
    start = Moment(required=True)
    end = Moment(required=True)
    status = fields.String(required=True, validate=validate.OneOf(list(Status)))
    since = Moment(required=True, metadata={"description": "Of the status."})
    started_at = Moment(required=True, allow_none=True)
    ended_at = Moment(required=True, allow_none=True)
    overrun_s = fields.Integer(
        required=True,
        metadata={"description": "Seconds past what the organisation allows, while it goes on."},
    )
    people = fields.List(fields.Nested(DayPersonOut), required=True)


class DayProviderOut(Out):
    """Somebody who has visits on that day."""

    id = fields.UUID(required=True)
    display_name = fields.String(required=True)


class DayOut(Out):
    """The visits of one day, the earliest first."""

    day = fields.Date(required=True)
    is_today = fields.Boolean(required=True)
    timezone = fields.String(required=True)
    as_of = Moment(required=True)
    more = fields.Boolean(
        required=True, metadata={"description": "There are more than are shown; name a provider."}
    )
    providers = fields.List(fields.Nested(DayProviderOut), required=True)
    items = fields.List(fields.Nested(DayVisitOut), required=True)
