"""Legal holds as the API takes and gives them."""

from marshmallow import fields, validate

from app.web.schemas import Flag, In, Moment, Out, PageIn, PageOut, Text

REASONS = ("litigation", "complaint", "authority", "incident", "patient_request")
RELEASE_REASONS = ("closed", "limitation", "mistake")


class HoldIn(In):
    """A hold to place on everything of a session."""

    reason = fields.String(required=True, validate=validate.OneOf(REASONS))
    reference = Text(
        load_default=None,
        allow_none=True,
        longest=64,
        metadata={"description": "Your own file number; never a name."},
    )
    allows_playback = Flag(
        load_default=False,
        metadata={"description": "Whether its recordings can be watched by link meanwhile."},
    )


class HoldReleaseIn(In):
    """Why a hold is not needed any more."""

    reason = fields.String(required=True, validate=validate.OneOf(RELEASE_REASONS))


class HoldOut(Out):
    """A hold. It is live until it is released."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    reason = fields.String(required=True, validate=validate.OneOf(REASONS))
    reference = fields.String(required=True, allow_none=True)
    allows_playback = fields.Boolean(required=True)
    placed_by_kind = fields.String(required=True)
    placed_by = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    released_at = Moment(required=True, allow_none=True)
    released_by_kind = fields.String(required=True, allow_none=True)
    released_by = fields.String(required=True, allow_none=True)
    release_reason = fields.String(
        required=True, allow_none=True, validate=validate.OneOf(RELEASE_REASONS)
    )


class HoldPageOut(PageOut):
    """One page of holds, newest first."""

    items = fields.List(fields.Nested(HoldOut), required=True)


class HoldPageQuery(PageIn):
    """Where a page of holds starts."""


class HoldQuery(PageIn):
    """Where a page of holds starts, and which are on it."""

    live = fields.String(
        validate=validate.OneOf(["true", "false"]),
        metadata={"description": "Only those not released, or only the others."},
    )
