"""Messages to people as the API shows them: never with an address or a link."""

from marshmallow import fields, validate

from app.notifications.kinds import Channel, Kind
from app.web.schemas import In, Moment, Out, PageIn, PageOut

KINDS = [str(kind) for kind in Kind]
CHANNELS = [str(channel) for channel in Channel]
STATES = ("pending", "sent", "failed", "dropped")


class NotificationIn(In):
    """A message to send once more."""

    participant_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf([str(Kind.INVITATION)]))


class NotificationOut(Out):
    """One message to one person over one channel."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    participant_id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    channel = fields.String(required=True, validate=validate.OneOf(CHANNELS))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    attempts = fields.Integer(required=True)
    reason = fields.String(
        attribute="last_error",
        allow_none=True,
        metadata={"description": "Why it failed, was dropped, or has to be tried again."},
    )
    due_at = Moment(required=True)
    created_at = Moment(required=True)
    sent_at = Moment(allow_none=True)


class NotificationPageOut(PageOut):
    """One page of messages, newest first."""

    items = fields.List(fields.Nested(NotificationOut), required=True)


class NotificationQuery(PageIn):
    """Filters of the list."""

    participant_id = fields.UUID()
    kind = fields.String(validate=validate.OneOf(KINDS))
    state = fields.String(validate=validate.OneOf(STATES))
