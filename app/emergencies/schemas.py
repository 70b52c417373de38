"""Emergency entries as the API takes and gives them."""

from marshmallow import fields, validate

from app.participants.permissions import Role
from app.participants.schemas import LOCALES, ROLES, InvitedOut
from app.web.schemas import In, Moment, Out, PageIn, PageOut, Text

OUTCOMES = ("justified", "unjustified")
LONGEST_WORDS = 1000


class EmergencyEntryIn(In):
    """Who enters, and why. The reason is read by the reviewers."""

    reason = Text(required=True, shortest=5, longest=LONGEST_WORDS)
    display_name = Text(required=True, longest=80)
    role = fields.String(load_default=str(Role.PARAMEDIC), validate=validate.OneOf(ROLES))
    locale = fields.String(load_default="en", validate=validate.OneOf(LOCALES))
    reference = Text(load_default=None, allow_none=True, longest=64)


class EmergencyEntryOut(Out):
    """One uninvited entry and its review."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    participant_id = fields.UUID(required=True)
    reason = fields.String(required=True)
    entered_by = fields.String(
        required=True, metadata={"description": "Id of the program or person that asked."}
    )
    created_at = Moment(required=True)
    reviewed_at = Moment(required=True, allow_none=True)
    reviewed_by = fields.String(required=True, allow_none=True)
    outcome = fields.String(
        required=True, allow_none=True, validate=validate.OneOf([*OUTCOMES, None])
    )
    note = fields.String(required=True, allow_none=True)


class EnteredOut(Out):
    """The entry and the person with their link, which is shown this once."""

    entry = fields.Nested(EmergencyEntryOut, required=True)
    participant = fields.Nested(InvitedOut, required=True)


class EmergencyEntryQuery(PageIn):
    """Filters of the list."""

    reviewed = fields.String(
        validate=validate.OneOf(["true", "false"]),
        metadata={"description": "`false`: what still waits for its review."},
    )
    session_id = fields.UUID()


class EmergencyEntryPageOut(PageOut):
    """One page of entries, newest first."""

    items = fields.List(fields.Nested(EmergencyEntryOut), required=True)


class ReviewIn(In):
    """The verdict."""

    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    note = Text(load_default=None, allow_none=True, longest=LONGEST_WORDS)
