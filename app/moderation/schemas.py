"""What moderating takes."""

from marshmallow import fields

from app.web.schemas import In, Out, Text


class ReasonIn(In):
    """Why; kept with the session and told to everybody."""

    reason = Text(load_default="", shortest=0)


class RemoveQuery(In):
    """The participant to remove, named in the query."""

    participant_id = fields.UUID()


class RemoveIn(In):
    """The participant to remove, named in the body."""

    participant_id = fields.UUID()


class MessageIn(In):
    """A message from the hospital into the live room. It is delivered and not kept."""

    text = Text(required=True, longest=1000)
    participant_id = fields.UUID(metadata={"description": "Only to this person."})


class MessageOut(Out):
    """How many people the message reached."""

    delivered = fields.Integer(required=True)
