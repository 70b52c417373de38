"""What all schemas share. Input refuses what it does not know; output is flat."""

from datetime import UTC, datetime
from typing import Any

from marshmallow import RAISE, Schema, ValidationError, fields, validate

LONGEST_TEXT = 200


def _no_control_characters(value: str) -> None:
    if not value.isprintable():
        raise ValidationError("Control characters are not allowed.")


class In(Schema):
    """Input: an unknown field is an error, so that a typing mistake is not silently ignored."""

    class Meta:
        unknown = RAISE


class Out(Schema):
    """Output."""


class Text(fields.String):
    """One line of text without control characters."""

    def __init__(self, *, longest: int = LONGEST_TEXT, shortest: int = 1, **kwargs: Any) -> None:
        validators: list[Any] = [validate.Length(min=shortest, max=longest), _no_control_characters]
        super().__init__(validate=validators, **kwargs)


class Moment(fields.AwareDateTime):
    """A moment with its zone (RFC 3339); written in UTC. Without a zone it is refused."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        moment = super()._deserialize(value, attr, data, **kwargs)
        try:
            return moment.astimezone(UTC)
        except OverflowError as error:
            raise ValidationError("Not a valid datetime.") from error


class PageIn(In):
    """Where a page starts and how long it is."""

    cursor = fields.String(
        validate=validate.Length(max=200),
        metadata={"description": "`next_cursor` of the page before."},
    )
    limit = fields.Integer(load_default=50, validate=validate.Range(1, 200))


class PageOut(Out):
    """The frame of a page: `next_cursor` is null on the last one."""

    next_cursor = fields.String(allow_none=True)


class ProblemOut(Out):
    """An error (RFC 9457). `code` is stable; `detail` is for people."""

    type = fields.String(required=True)
    title = fields.String(required=True)
    status = fields.Integer(required=True)
    code = fields.String(required=True)
    detail = fields.String(required=True)
    retryable = fields.Boolean(required=True)
    field = fields.String()
    errors = fields.List(fields.Dict())
