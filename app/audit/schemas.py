"""Shapes of `/audit`."""

from datetime import timedelta
from typing import Any

from marshmallow import ValidationError, fields, validate, validates_schema

from app.web.schemas import In, Moment, Out, PageIn, PageOut, Text

OUTCOMES = ("done", "refused")
LONGEST_EXPORT = timedelta(days=92)


class AuditQuery(PageIn):
    """Which entries; all conditions together."""

    session_id = fields.UUID()
    participant_id = fields.UUID()
    actor_kind = Text(metadata={"description": "`client`, `user`, `participant`, `room`, …"})
    actor_id = Text(metadata={"description": "The actor's id, whatever its kind."})
    action = Text(metadata={"description": "For example `participant.removed`."})
    outcome = fields.String(validate=validate.OneOf(OUTCOMES))
    since = Moment(metadata={"description": "From this moment on."})
    until = Moment(metadata={"description": "Before this moment."})


class AuditEntryOut(Out):
    """One act or refusal. It names ids only, and nothing of a call's content."""

    id = fields.UUID(required=True)
    at = Moment(required=True)
    actor_kind = fields.String(required=True)
    actor_id = fields.String(allow_none=True)
    action = fields.String(required=True)
    outcome = fields.String(required=True, validate=validate.OneOf(OUTCOMES))
    session_id = fields.UUID(allow_none=True)
    participant_id = fields.UUID(allow_none=True)
    detail = fields.Dict(required=True)


class AuditPageOut(PageOut):
    """Newest first."""

    items = fields.List(fields.Nested(AuditEntryOut), required=True)


class ExportQuery(In):
    """Which time, and in which form."""

    since = Moment(required=True, metadata={"description": "From this moment on."})
    until = Moment(required=True, metadata={"description": "Before this moment."})
    format = fields.String(
        load_default="ndjson",
        validate=validate.OneOf(("ndjson", "fhir")),
        metadata={"description": "`fhir`: one AuditEvent (R4) per line."},
    )

    @validates_schema
    def check_range(self, data: dict[str, Any], **_: Any) -> None:
        """An export takes a quarter of a year at most, and time goes forwards.

        Raises:
            ValidationError: it does not.
        """
        if data["until"] <= data["since"]:
            raise ValidationError("Must be after since.", "until")
        if data["until"] - data["since"] > LONGEST_EXPORT:
            raise ValidationError(f"At most {LONGEST_EXPORT.days} days after since.", "until")
