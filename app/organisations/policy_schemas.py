"""An organisation and its policy as the API takes and gives them."""

from typing import Any
from zoneinfo import available_timezones

from marshmallow import ValidationError, fields, post_load, validate

from app.web.schemas import Count, Flag, In, Out, Text, Whole

LOCALES = ("en", "de", "fr")
HOUR_S, DAY_S = 3600, 86_400
LONGEST_REMINDER_S = 30 * DAY_S
MOST_DAYS = 36_500
MOST_VISIT_TYPES = 50
VISIT_TYPE = Whole(r"^[a-z][a-z0-9_-]{0,31}$", error="Small letters, digits, - and _, up to 32.")
CLOCK_TIME = Whole(r"^([01][0-9]|2[0-3]):[0-5][0-9]$", error="A time of day: 21:00.")
NULL = {"description": "null returns to the default."}


def seconds(longest: int) -> Count:
    """Return a field of whole seconds."""
    return Count(allow_none=True, validate=validate.Range(0, longest), metadata=NULL)


def days(shortest: int) -> Count:
    """Return a field of whole days after the end of the session."""
    return Count(allow_none=True, validate=validate.Range(shortest, MOST_DAYS), metadata=NULL)


def known_zone(name: str) -> None:
    """Refuse a time zone nobody knows.

    Raises:
        ValidationError: it is none of the IANA's names.
    """
    if name not in available_timezones():
        raise ValidationError("Not a time zone of the IANA's, like Europe/Berlin.")


class VisitPolicyIn(In):
    """What may be decided for one kind of visit, too."""

    early_join_s = seconds(7 * DAY_S)
    late_after_s = seconds(DAY_S)
    no_show_after_s = seconds(DAY_S)
    overrun_after_s = seconds(DAY_S)
    end_empty_after_s = seconds(7 * DAY_S)
    end_forgotten_after_s = seconds(7 * DAY_S)
    waiting_room = Flag(allow_none=True)
    recording_yields = Flag(
        allow_none=True,
        metadata={
            "description": "Whether a recording stops for a newcomer who has not agreed, instead of"
            " keeping them out until they have."
        },
    )
    keep_recordings_days = days(1)
    keep_files_days = days(1)
    keep_contacts_days = days(1)
    keep_records_days = days(30)
    reminders_s = fields.List(
        Count(validate=validate.Range(60, LONGEST_REMINDER_S)),
        allow_none=True,
        validate=validate.Length(max=5),
    )

    @post_load
    def order_reminders(self, data: dict[str, Any], **_: Any) -> dict[str, Any]:
        """The earliest reminder first, each once."""
        if data.get("reminders_s"):
            data["reminders_s"] = sorted(set(data["reminders_s"]), reverse=True)
        return data


class PolicyIn(VisitPolicyIn):
    """What may be decided for all visits; what is left out stays."""

    quiet_from = fields.String(allow_none=True, validate=CLOCK_TIME)
    quiet_to = fields.String(allow_none=True, validate=CLOCK_TIME)
    timezone = fields.String(allow_none=True, validate=known_zone)
    visit_types = fields.Dict(
        keys=fields.String(validate=VISIT_TYPE),
        values=fields.Nested(VisitPolicyIn, allow_none=True),
        validate=validate.Length(max=MOST_VISIT_TYPES),
        metadata={"description": "By kind of visit: what differs for it. null takes it away."},
    )


class OrganisationPatch(In):
    """What may be changed; what is left out stays."""

    name = Text(longest=120)
    locale = fields.String(validate=validate.OneOf(LOCALES))
    policy = fields.Nested(PolicyIn)


class VisitPolicyOut(Out):
    """What differs for one kind of visit."""

    early_join_s = fields.Integer()
    late_after_s = fields.Integer()
    no_show_after_s = fields.Integer()
    overrun_after_s = fields.Integer()
    end_empty_after_s = fields.Integer()
    end_forgotten_after_s = fields.Integer()
    waiting_room = fields.Boolean()
    recording_yields = fields.Boolean()
    keep_recordings_days = fields.Integer()
    keep_files_days = fields.Integer()
    keep_contacts_days = fields.Integer()
    keep_records_days = fields.Integer()
    reminders_s = fields.List(fields.Integer())


class PolicyOut(Out):
    """The rules as they are, defaults included. Times are in seconds."""

    early_join_s = fields.Integer(
        required=True, allow_none=True, metadata={"description": "null: the deployment's own."}
    )
    late_after_s = fields.Integer(required=True)
    no_show_after_s = fields.Integer(required=True)
    overrun_after_s = fields.Integer(required=True)
    end_empty_after_s = fields.Integer(required=True)
    end_forgotten_after_s = fields.Integer(required=True)
    waiting_room = fields.Boolean(required=True)
    recording_yields = fields.Boolean(required=True)
    keep_recordings_days = fields.Integer(required=True)
    keep_files_days = fields.Integer(required=True)
    keep_contacts_days = fields.Integer(required=True)
    keep_records_days = fields.Integer(required=True)
    reminders_s = fields.List(fields.Integer(), required=True)
    quiet_from = fields.String(required=True)
    quiet_to = fields.String(required=True)
    timezone = fields.String(required=True)
    visit_types = fields.Dict(fields.String(), fields.Nested(VisitPolicyOut), required=True)


class OrganisationOut(Out):
    """The caller's organisation."""

    id = fields.UUID(required=True)
    name = fields.String(required=True)
    locale = fields.String(required=True)
    policy = fields.Nested(PolicyOut, required=True)
    version = fields.Integer(required=True)
