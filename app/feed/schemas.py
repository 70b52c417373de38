"""The feed as the API gives it."""

import re
from typing import Any

from marshmallow import fields, validate

from app.events.types import PATTERNS
from app.web.schemas import In, Moment, Out, Whole

_ONE = "|".join(re.escape(pattern) for pattern in PATTERNS)
TYPES = Whole(f"^({_ONE})(,({_ONE}))*$", error="There is no such type of event.")


class Patterns(fields.String):
    """Types and patterns of types, separated by commas."""

    def deserialize(self, value: Any, *args: Any, **kwargs: Any) -> Any:
        """Return them as a list."""
        text = super().deserialize(value, *args, **kwargs)
        return text.split(",") if isinstance(text, str) else text


class FeedQuery(In):
    """Where to read on, and what."""

    after = fields.String(
        validate=validate.Length(max=40),
        metadata={"description": "`next_after` of the answer before; without it from the start."},
    )
    limit = fields.Integer(load_default=100, validate=validate.Range(1, 500))
    types = Patterns(
        validate=TYPES,
        metadata={
            "description": "Types separated by commas; `participant.*` is a whole family.",
            "examples": ["session.ended,participant.*"],
        },
    )
    session_id = fields.UUID()


class EventOut(Out):
    """An event, as webhooks carry it, and its position in the feed."""

    id = fields.UUID(required=True)
    type = fields.String(required=True)
    timestamp = Moment(required=True)
    sequence = fields.Integer(required=True)
    organisation_id = fields.UUID(required=True)
    data = fields.Dict(required=True)
    position = fields.Integer(required=True)


class FeedOut(Out):
    """Some events, oldest first. Ask again with `next_after`, at once while `has_more`."""

    items = fields.List(fields.Nested(EventOut), required=True)
    next_after = fields.String(required=True)
    has_more = fields.Boolean(required=True)


class EventTypeOut(Out):
    """One type of event."""

    name = fields.String(required=True)
    meaning = fields.String(required=True)
    schema = fields.Dict(required=True, metadata={"description": "JSON Schema of the event."})
    example = fields.Dict(required=True)


class EventTypesOut(Out):
    """Every type of event there is."""

    items = fields.List(fields.Nested(EventTypeOut), required=True)
