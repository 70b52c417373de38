"""Webhook subscriptions as the API takes and gives them. The secret is shown once."""

from marshmallow import ValidationError, fields, validate

from app.events.types import PATTERNS
from app.participants.permissions import Role
from app.signing import decode_secret
from app.web.schemas import Count, Flag, In, Moment, Out, PageIn, PageOut

LONGEST_URL = 2000
LONGEST_SECRET = 200
DELIVERY_STATES = ("pending", "delivered", "failed")


def _signing_secret(value: str) -> None:
    try:
        decode_secret(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _event_types(**kwargs: object) -> fields.List[str]:
    known = fields.String(validate=validate.OneOf(PATTERNS))
    return fields.List(
        known,
        validate=validate.Length(max=len(PATTERNS)),
        metadata={
            "description": "Which events to send, `participant.*` for a whole family; empty: all."
        },
        **kwargs,  # type: ignore[arg-type]
    )


def _roles(**kwargs: object) -> fields.List[str]:
    known = fields.String(validate=validate.OneOf([str(role) for role in Role]))
    return fields.List(
        known,
        validate=validate.Length(max=len(Role)),
        metadata={"description": "Of events about a person only these roles; empty: all."},
        **kwargs,  # type: ignore[arg-type]
    )


def _url(**kwargs: object) -> fields.String:
    return fields.String(
        validate=validate.Length(min=1, max=LONGEST_URL),
        metadata={"format": "uri", "description": "An https address that answers POST with 2xx."},
        **kwargs,  # type: ignore[arg-type]
    )


def _secret(**kwargs: object) -> fields.String:
    return fields.String(
        validate=[validate.Length(max=LONGEST_SECRET), _signing_secret],
        metadata={"description": "The signing secret, `whsec_` and base64; we make one."},
        **kwargs,  # type: ignore[arg-type]
    )


class WebhookIn(In):
    """An address to send events to."""

    url = _url(required=True)
    event_types = _event_types(load_default=list)
    roles = _roles(load_default=list)
    secret = fields.String(
        load_default=None,
        allow_none=True,
        validate=[validate.Length(max=LONGEST_SECRET), _signing_secret],
        metadata={"description": "The signing secret, `whsec_` and base64; we make one."},
    )


class WebhookPatch(In):
    """What may be changed; what is left out stays."""

    url = _url()
    event_types = _event_types()
    roles = _roles()
    secret = _secret()
    is_active = Flag()


class WebhookOut(Out):
    """A subscription."""

    id = fields.UUID(required=True)
    url = fields.String(required=True)
    event_types = fields.List(fields.String(), required=True)
    is_active = fields.Boolean(
        required=True, metadata={"description": "Switched off by you, or by a 410 answer."}
    )
    roles = fields.List(fields.String(), required=True)
    paused_at = Moment(
        required=True, allow_none=True, metadata={"description": "Deliveries wait since then."}
    )
    pause_reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "`requested`, or `failing`: it took nothing for three days."},
    )
    failing_since = Moment(
        required=True, allow_none=True, metadata={"description": "It takes nothing since then."}
    )
    previous_secret_until = Moment(
        required=True, allow_none=True, metadata={"description": "The old secret signs until then."}
    )
    version = fields.Integer(required=True)
    created_at = Moment(required=True)


class WebhookCreatedOut(WebhookOut):
    """A new subscription with its secret, which is never shown again."""

    secret = fields.String(required=True)


class WebhookPageOut(PageOut):
    """One page of subscriptions, newest first."""

    items = fields.List(fields.Nested(WebhookOut), required=True)


class WebhookQuery(PageIn):
    """Filters of the list."""

    # A query holds text, so it cannot be `Flag`; but the same two words and no others.
    is_active = fields.Boolean(truthy={"true"}, falsy={"false"})


class RotationIn(In):
    """A new secret. Until the overlap ends both sign, so receivers may change one by one."""

    overlap_s = Count(load_default=86_400, validate=validate.Range(0, 604_800))
    secret = _secret(load_default=None)


class DeliveryQuery(PageIn):
    """Filters of the delivery log."""

    state = fields.String(validate=validate.OneOf(DELIVERY_STATES))


class DeliveryOut(Out):
    """One event on its way to one address."""

    id = fields.UUID(required=True)
    event_id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    sequence = fields.Integer(required=True)
    state = fields.String(required=True, validate=validate.OneOf(DELIVERY_STATES))
    attempts = fields.Integer(required=True)
    failures = fields.Integer(
        required=True, metadata={"description": "Attempts the receiver did not take."}
    )
    redeliveries = fields.Integer(
        required=True, metadata={"description": "How often it was asked for again."}
    )
    last_attempt_at = Moment(required=True, allow_none=True)
    last_status = fields.Integer(required=True, allow_none=True)
    last_duration_ms = fields.Integer(required=True, allow_none=True)
    last_error = fields.String(required=True, allow_none=True)
    next_attempt_at = Moment(
        required=True, metadata={"description": "Of a pending one; of others when it was last due."}
    )
    created_at = Moment(required=True)
    delivered_at = Moment(required=True, allow_none=True)


class DeliveryPageOut(PageOut):
    """One page of the delivery log, newest first."""

    items = fields.List(fields.Nested(DeliveryOut), required=True)


class RedeliverIn(In):
    """A time: the events from `since` up to, not including, `until`."""

    since = Moment(required=True)
    until = Moment(required=True)
    types = _event_types(load_default=list)


class RedeliveredOut(Out):
    """How many events will be sent again."""

    redelivered = fields.Integer(required=True)


class TestOut(Out):
    """What the receiver did with a test."""

    delivered = fields.Boolean(required=True)
    status = fields.Integer(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True)
    code = fields.String(required=True, metadata={"description": "What went wrong, or empty."})
    detail = fields.String(required=True)
