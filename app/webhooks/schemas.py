"""Webhook subscriptions as the API takes and gives them. The secret is shown once."""

from marshmallow import ValidationError, fields, validate

from app.events.types import EVENT_TYPES
from app.signing import decode_secret
from app.web.schemas import Flag, In, Moment, Out, PageIn, PageOut

LONGEST_URL = 2000
LONGEST_SECRET = 200


def _signing_secret(value: str) -> None:
    try:
        decode_secret(value)
    except ValueError as error:
        raise ValidationError(str(error)) from error


def _event_types(**kwargs: object) -> fields.List[str]:
    known = fields.String(validate=validate.OneOf(sorted(EVENT_TYPES)))
    return fields.List(
        known,
        validate=validate.Length(max=len(EVENT_TYPES)),
        metadata={"description": "Which events to send; empty: all."},
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
