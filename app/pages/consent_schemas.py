"""What a person behind a link is asked, and says."""

from marshmallow import fields, validate

from app.consents.schemas import ANSWERS, SHA256, STATES
from app.consents.texts import LANGUAGES
from app.web.schemas import In, Out

WHERE = fields.String(
    load_default="page",
    validate=validate.OneOf(("page", "link")),
    metadata={"description": "`link`: the page that only asks this."},
)


class QuestionQuery(In):
    """In which language, and where, the text is shown."""

    language = fields.String(required=True, validate=validate.OneOf(LANGUAGES))
    channel = WHERE


class QuestionOut(Out):
    """The text to be shown, and where the person stands."""

    purpose = fields.String(required=True)
    state = fields.String(required=True, validate=validate.OneOf(STATES))
    language = fields.String(required=True)
    version = fields.Integer(required=True)
    text = fields.String(required=True)
    sha256 = fields.String(required=True)


class AnswerIn(In):
    """What the person says about the text they were shown."""

    act = fields.String(required=True, validate=validate.OneOf(ANSWERS))
    text_sha256 = fields.String(required=True, validate=SHA256)
    channel = WHERE


class AnswerOut(Out):
    """Where the person stands now."""

    state = fields.String(required=True, validate=validate.OneOf(STATES))
