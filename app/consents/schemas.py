"""Consents and their texts as the API takes and gives them."""

from marshmallow import fields, validate

from app.consents.texts import LANGUAGES, PURPOSES
from app.participants.schemas import ROLES
from app.web.schemas import In, Moment, Out, Whole

ANSWERS = ("given", "refused", "withdrawn")
STATES = ("missing", *ANSWERS)
ACTS = ("asked", *ANSWERS)
LONGEST_TEXT = 4000
SHA256 = Whole(r"^[0-9a-f]{64}$", error="SHA-256 as 64 small hexadecimal digits.")
# Paragraphs are allowed; other control characters, and what XML cannot carry, are not.
PARAGRAPHS = Whole(
    r"^[^\x00-\x09\x0b-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069\ufffe\uffff]*$",
    error="Control characters are not allowed.",
)


class ConsentTextIn(In):
    """The exact text people are to be shown in one language."""

    purpose = fields.String(load_default=PURPOSES[0], validate=validate.OneOf(PURPOSES))
    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    text = fields.String(
        required=True, validate=[validate.Length(min=1, max=LONGEST_TEXT), PARAGRAPHS]
    )


class ConsentTextOut(Out):
    """A text that counts now. Version 0 is ours, the organisation's own begin at 1."""

    purpose = fields.String(required=True, validate=validate.OneOf(PURPOSES))
    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    version = fields.Integer(required=True)
    text = fields.String(required=True)
    sha256 = fields.String(required=True)


class ConsentTextsOut(Out):
    """Every text that counts now."""

    items = fields.List(fields.Nested(ConsentTextOut), required=True)


class ConsentIn(In):
    """What a person said about the text with this hash, and how it reached you."""

    participant_id = fields.UUID(required=True)
    purpose = fields.String(load_default=PURPOSES[0], validate=validate.OneOf(PURPOSES))
    act = fields.String(required=True, validate=validate.OneOf(ANSWERS))
    channel = fields.String(load_default="api", validate=validate.OneOf(("api", "paper", "phone")))
    text_sha256 = fields.String(
        required=True,
        validate=SHA256,
        metadata={"description": "Of the text that was shown or signed; see `/consent-texts`."},
    )


class ConsentOut(Out):
    """One line of the ledger."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    participant_id = fields.UUID(required=True)
    purpose = fields.String(required=True)
    number = fields.Integer(required=True)
    act = fields.String(required=True, validate=validate.OneOf(ACTS))
    channel = fields.String(required=True)
    language = fields.String(required=True)
    text_version = fields.Integer(required=True)
    text_sha256 = fields.String(required=True)
    at = Moment(required=True)


class StandingOut(Out):
    """Where one person stands. `missing`: they have not answered the text that counts now."""

    participant_id = fields.UUID(required=True)
    role = fields.String(required=True, validate=validate.OneOf(ROLES))
    reference = fields.String(allow_none=True, required=True)
    purpose = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    since = Moment(allow_none=True, required=True)


class ConsentsOut(Out):
    """Where everybody stands, and every act in order."""

    standings = fields.List(fields.Nested(StandingOut), required=True)
    acts = fields.List(fields.Nested(ConsentOut), required=True)
