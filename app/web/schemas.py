"""What all schemas share. Input refuses what it does not know; output is flat."""

import re
from datetime import UTC, datetime
from typing import Any, ClassVar

from marshmallow import RAISE, Schema, ValidationError, fields, validate

LONGEST_TEXT = 200
EARLIEST = datetime(2000, 1, 1, tzinfo=UTC)
LATEST = datetime(2200, 1, 1, tzinfo=UTC)


class Whole(validate.Regexp):
    """The whole text fits; Python's `$` alone lets a newline follow, JSON Schema's does not."""

    def __call__(self, value: str) -> str:  # type: ignore[override]
        """Return the text.

        Raises:
            ValidationError: it does not fit.
        """
        if re.fullmatch(str(self.regex.pattern), value) is None:
            raise ValidationError(self._format_error(value))
        return value


# Control characters, line separators, what turns the reading direction of the text around it, and
# what no XML stream survives.
# Joiners stay: names in Persian or Sinhala need them.
ONE_LINE = Whole(
    r"^[^\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]*$",
    error="Control characters are not allowed.",
)


class In(Schema):
    """Input: an unknown field is an error, so that a typing mistake is not silently ignored."""

    error_messages: ClassVar[dict[str, str]] = {  # type: ignore[misc]
        "type": "Must be a JSON object.",
        "unknown": "There is no such field.",
    }

    class Meta:
        unknown = RAISE


class Out(Schema):
    """Output."""


class Text(fields.String):
    """One line of text without control characters."""

    def __init__(self, *, longest: int = LONGEST_TEXT, shortest: int = 1, **kwargs: Any) -> None:
        validators = [validate.Length(min=shortest, max=longest), ONE_LINE]
        super().__init__(validate=validators, **kwargs)


class Moment(fields.AwareDateTime):
    """A moment with its zone (RFC 3339), of this or the next century; written in UTC."""

    def __init__(self, **kwargs: Any) -> None:
        super().__init__(format="iso", default_timezone=None, **kwargs)

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> datetime:
        moment = super()._deserialize(value, attr, data, **kwargs)
        if not EARLIEST <= moment < LATEST:
            raise ValidationError("Must be from the year 2000 on and before 2200.")
        return moment.astimezone(UTC)


class Flag(fields.Boolean):
    """`true` or `false`, and none of the words and numbers marshmallow takes for them."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if not isinstance(value, bool):
            raise self.make_error("invalid", input=value)
        return value


class Count(fields.Integer):
    """A whole number: a JSON number without a fraction, and no text or flag that looks like one."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float) or value % 1:
            raise self.make_error("invalid", input=value)
        return int(value)


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
    error = fields.String(metadata={"description": "The name in RFC 6749; at /oauth/token only."})
