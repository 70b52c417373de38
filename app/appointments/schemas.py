"""Appointments as the API takes and gives them."""

from datetime import timedelta

from marshmallow import fields, validate

from app.appointments.states import Status
from app.organisations.policy_schemas import VISIT_TYPE
from app.participants.schemas import InvitedOut, ParticipantIn
from app.web.schemas import EARLIEST, LATEST, In, Moment, Out, PageIn, PageOut, Text

MOST_FURTHER_PEOPLE = 20
ONE_OF_TWO = {"description": "Our id, or the reference below: one of the two."}
HOSPITALS_OWN = {"description": "Your id of the person."}


class AppointmentIn(In):
    """An appointment to make, with its session and links."""

    patient_id = fields.UUID(load_default=None, metadata=ONE_OF_TWO)
    patient_reference = Text(load_default=None, longest=64, metadata=HOSPITALS_OWN)
    provider_id = fields.UUID(load_default=None, metadata=ONE_OF_TWO)
    provider_reference = Text(load_default=None, longest=64, metadata=HOSPITALS_OWN)
    visit_type = fields.String(load_default="consultation", validate=VISIT_TYPE)
    start = Moment(required=True)
    end = Moment(required=True)
    reference = Text(
        load_default=None,
        allow_none=True,
        longest=64,
        metadata={"description": "Your id of the appointment; opaque to us. No names."},
    )
    people = fields.List(
        fields.Nested(ParticipantIn),
        load_default=list,
        validate=validate.Length(max=MOST_FURTHER_PEOPLE),
        metadata={"description": "Who else takes part: an interpreter, a relative."},
    )


class AppointmentPut(In):
    """An appointment as it shall be. Another patient or provider is another appointment."""

    visit_type = fields.String(required=True, validate=VISIT_TYPE)
    start = Moment(required=True)
    end = Moment(required=True)
    reference = Text(required=True, allow_none=True, longest=64)


class DirectoryPersonOut(Out):
    """Somebody of the directory."""

    id = fields.UUID(required=True)
    reference = fields.String(required=True)
    display_name = fields.String(required=True)


class AppointmentOut(Out):
    """An appointment. Its session and its status move together."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    patient = fields.Nested(DirectoryPersonOut, required=True)
    provider = fields.Nested(DirectoryPersonOut, required=True)
    visit_type = fields.String(required=True)
    reference = fields.String(allow_none=True)
    status = fields.String(required=True, validate=validate.OneOf(list(Status)))
    status_since = Moment(required=True)
    reason = fields.String(allow_none=True)
    start = Moment(required=True, attribute="planned_start")
    end = Moment(required=True, attribute="planned_end")
    version = fields.Integer(required=True)
    created_at = Moment(required=True)


class PlannedOut(AppointmentOut):
    """An appointment and what its time collides with."""

    conflicts = fields.List(
        fields.UUID(),
        required=True,
        metadata={"description": "The provider's other open appointments at the same time."},
    )


class MadeOut(PlannedOut):
    """An appointment just made, with everybody's link; the links are not shown again."""

    people = fields.List(fields.Nested(InvitedOut), required=True)


class AppointmentQuery(PageIn):
    """Filters of the list."""

    day = fields.Date(
        validate=validate.Range(EARLIEST.date(), LATEST.date() - timedelta(days=1)),
        metadata={"description": "In the organisation's time zone."},
    )
    starts_from = Moment(data_key="from", metadata={"description": "Starts then or later."})
    starts_before = Moment(data_key="to", metadata={"description": "Starts before."})
    status = fields.String(validate=validate.OneOf(list(Status)))
    provider_id = fields.UUID()
    patient_id = fields.UUID()


class AppointmentPageOut(PageOut):
    """One page of appointments, the earliest first."""

    items = fields.List(fields.Nested(AppointmentOut), required=True)
