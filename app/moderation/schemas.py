"""What moderating takes."""

from marshmallow import fields, validate

from app.web.schemas import Count, Flag, In, Out, Text

MEDIA = ("audio", "video", "desktop")
DEVICES = ("audio", "video")
MOST_NAMED = 500
LONGEST_BAN_S = 7 * 86_400


class ReasonIn(In):
    """Why; kept with the session and told to everybody."""

    reason = Text(load_default="", shortest=0)


class RemoveIn(In):
    """For how long."""

    ban_s = Count(
        validate=validate.Range(1, LONGEST_BAN_S),
        metadata={"description": "May come back after so many seconds; left out: never."},
    )


class RemoveNamedQuery(In):
    """The participant to remove, named in the query."""

    participant_id = fields.UUID()


class RemoveNamedIn(RemoveIn):
    """The participant to remove, named in the body."""

    participant_id = fields.UUID()


class MessageIn(In):
    """A message from the hospital into the live room. It is delivered and not kept."""

    text = Text(required=True, longest=1000)
    participant_id = fields.UUID(metadata={"description": "Only to this person."})


class MessageOut(Out):
    """How many people the message reached."""

    delivered = fields.Integer(required=True)


class MuteIn(In):
    """What of a person is muted; `desktop` is their screen."""

    media = fields.String(load_default="audio", validate=validate.OneOf(MEDIA))


class MuteAllIn(MuteIn):
    """Whom to spare."""

    moderators = Flag(
        load_default=False, metadata={"description": "Mute those who moderate as well."}
    )
    spared = fields.List(
        fields.UUID(),
        load_default=list,
        validate=validate.Length(max=MOST_NAMED),
        metadata={"description": "Participants who are not muted."},
    )


class UnmuteIn(In):
    """What a person is asked to switch on."""

    media = fields.String(load_default="audio", validate=validate.OneOf(DEVICES))


class AvModerationIn(In):
    """Whether microphones and cameras are the moderators' to allow, and whose are allowed."""

    audio = Flag(required=True)
    video = Flag(required=True)
    audio_allowed = fields.List(
        fields.UUID(), load_default=list, validate=validate.Length(max=MOST_NAMED)
    )
    video_allowed = fields.List(
        fields.UUID(), load_default=list, validate=validate.Length(max=MOST_NAMED)
    )


class AvModerationOut(Out):
    """What is moderated; moderators themselves may always."""

    audio = fields.Boolean(required=True)
    video = fields.Boolean(required=True)
    audio_allowed = fields.List(fields.UUID(), required=True)
    video_allowed = fields.List(fields.UUID(), required=True)


class MutedOut(Out):
    """Whom the order was about: who was in the room and not spared."""

    participants = fields.List(fields.UUID(), required=True)
