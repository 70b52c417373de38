"""Playback links as the API takes and gives them."""

from marshmallow import fields, validate

from app.organisations.policy_schemas import LOCALES
from app.playback.service import LONGEST_LIFE
from app.web.schemas import Count, In, Moment, Out, PageIn, PageOut, Text

WEEK_S = 7 * 86_400


class PlaybackLinkIn(In):
    """A link for one person: somebody of the session, or somebody you know by a reference."""

    participant_id = fields.UUID(load_default=None, allow_none=True)
    viewer_reference = Text(load_default=None, allow_none=True, longest=64)
    viewer_name = Text(
        load_default=None,
        allow_none=True,
        longest=80,
        metadata={"description": "As it stands over the picture; of participants it is known."},
    )
    locale = fields.String(load_default=None, allow_none=True, validate=validate.OneOf(LOCALES))
    expires_in_s = Count(
        load_default=WEEK_S,
        validate=validate.Range(60, int(LONGEST_LIFE.total_seconds())),
    )
    max_views = Count(load_default=3, validate=validate.Range(1, 100))


class PlaybackLinkOut(Out):
    """A link. `views` are those that were begun."""

    id = fields.UUID(required=True)
    recording_id = fields.UUID(required=True)
    participant_id = fields.UUID(required=True, allow_none=True)
    viewer_reference = fields.String(required=True, allow_none=True)
    viewer_name = fields.String(required=True)
    locale = fields.String(required=True)
    expires_at = Moment(required=True)
    max_views = fields.Integer(required=True)
    views = fields.Integer(required=True)
    revoked_at = Moment(required=True, allow_none=True)
    created_at = Moment(required=True)


class PlaybackLinkMadeOut(PlaybackLinkOut):
    """A new link with its address, which is shown this once."""

    url = fields.String(required=True)


class PlaybackLinkPageOut(PageOut):
    """One page of links, newest first."""

    items = fields.List(fields.Nested(PlaybackLinkOut), required=True)


class PlaybackLinkQuery(PageIn):
    """Where a page of links starts."""


class PlaybackPressIn(In):
    """A press on the page behind a link, with an id the page made; the same again counts once."""

    press_id = fields.UUID(required=True)


class PlaybackFileOut(Out):
    """Where the player gets one file of a recording."""

    video = fields.String(required=True)
    poster = fields.String(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)


class PlaybackViewOut(Out):
    """A view that has begun."""

    viewer = fields.String(required=True)
    expires_at = Moment(required=True)
    views_left = fields.Integer(required=True)
    files = fields.List(fields.Nested(PlaybackFileOut), required=True)
