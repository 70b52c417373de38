"""Participants as the API takes and gives them. The link is shown once, when it is made."""

from marshmallow import fields, validate

from app.participants.permissions import Permission, Role
from app.sessions.schemas import SessionOut
from app.web.schemas import In, Moment, Out, PageIn, PageOut, Text

LOCALES = ("en", "de", "fr")
ROLES = [str(role) for role in Role]
STATES = ("invited", "joined", "left", "removed")


class ParticipantIn(In):
    """A person to invite."""

    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    display_name = Text(required=True, longest=80)
    email = fields.Email(load_default=None, allow_none=True, validate=validate.Length(max=254))
    locale = fields.String(load_default="en", validate=validate.OneOf(LOCALES))
    reference = Text(load_default=None, allow_none=True, longest=64)


class ParticipantPatch(In):
    """What may be changed; what is left out stays."""

    display_name = Text(longest=80)
    email = fields.Email(allow_none=True, validate=validate.Length(max=254))
    locale = fields.String(validate=validate.OneOf(LOCALES))
    permissions = fields.Dict(
        keys=fields.String(validate=validate.OneOf([str(p) for p in Permission])),
        values=fields.Boolean(),
        metadata={"description": "Single permissions granted (true) or taken (false)."},
    )


class ParticipantOut(Out):
    """A person in a session."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    display_name = fields.String(required=True)
    email = fields.String(allow_none=True)
    locale = fields.String(required=True)
    reference = fields.String(allow_none=True)
    permissions = fields.Dict(keys=fields.String(), values=fields.Boolean())
    version = fields.Integer(required=True)
    created_at = Moment(required=True)
    removed_at = Moment(allow_none=True)


class InvitedOut(ParticipantOut):
    """A person with the link just made for them; it is not shown again."""

    link = fields.Url(required=True, require_tld=False)
    link_expires_at = Moment(required=True)


class ParticipantPageOut(PageOut):
    """One page of participants, newest first."""

    items = fields.List(fields.Nested(ParticipantOut), required=True)


class ParticipantQuery(PageIn):
    """Filters of the list."""

    state = fields.String(validate=validate.OneOf(STATES))


class LiveSessionOut(SessionOut):
    """A session and who is in its room right now."""

    present = fields.List(fields.UUID(), required=True)
