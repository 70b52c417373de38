"""What Prosody's modules ask and tell. Unknown members are ignored: an older API must understand a
newer module, and the other way round."""

import re
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from marshmallow import EXCLUDE, Schema, fields, post_load, validate

from app.clock import from_unix

LONGEST_WORD = 1023  # bytes of one part of an XMPP address (RFC 7622)
MOST_QUESTIONS = 25  # at once; see questions.lib.lua
YEAR_2200 = 7_258_118_400
# PostgreSQL takes no NUL, and the log should not be written by strangers.
NO_CONTROL_CHARACTERS = validate.Regexp(re.compile(r"[^\x00-\x1f\x7f\ud800-\udfff]*\Z"))


class Word(fields.String):
    """A short text whose origin is a client."""

    def __init__(self, **kwargs: Any) -> None:
        checks = [validate.Length(max=LONGEST_WORD), NO_CONTROL_CHARACTERS]
        super().__init__(validate=checks, **kwargs)


class LooseUuid(fields.Field[UUID | None]):
    """An id that is None when it is none of ours, so that a strange one is a case and no error."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> UUID | None:
        try:
            return UUID(value)
        except (ValueError, TypeError, AttributeError):
            return None


class RoomSchema(Schema):
    """The base of what comes from the room."""

    class Meta:
        unknown = EXCLUDE


@dataclass(frozen=True, slots=True)
class Question:
    """May this person enter this room now? `stage` is where the module asks it: at the `login`,
    before they have asked for anything, at the `conference` request, or at the `join`."""

    stage: str
    room: str
    participant_id: UUID | None
    link_id: UUID | None
    token_id: str
    token_room: str

    @property
    def place(self) -> tuple[UUID, UUID] | None:
        """Whose seat it is about, if it is anybody's."""
        if self.participant_id is None or self.link_id is None:
            return None
        return self.participant_id, self.link_id


class QuestionIn(RoomSchema):
    """The body of an admission question."""

    stage = fields.String(required=True, validate=validate.OneOf(["login", "conference", "join"]))
    room = Word(required=True)
    participant_id = LooseUuid(required=True, allow_none=True)
    link_id = LooseUuid(load_default=None, allow_none=True)
    token_id = Word(load_default="")
    token_room = Word(required=True)

    @post_load
    def _make(self, data: dict[str, Any], **kwargs: Any) -> Question:
        return Question(**data)


class QuestionsIn(RoomSchema):
    """Admission questions that came at the same time. They are read one by one, as events are."""

    questions = fields.List(
        fields.Raw(), required=True, validate=validate.Length(max=MOST_QUESTIONS)
    )


@dataclass(frozen=True, slots=True)
class Fact:
    """One thing that happened in Prosody, at `at`."""

    id: UUID
    type: str
    at: datetime
    room: str = ""
    participant_id: UUID | None = None
    connection: str = ""
    reason: str = ""
    code: str = ""
    # Of what was tried or done inside the room: the word for it, how often, by whom, on what.
    act: str = ""
    count: int = 1
    by: UUID | None = None
    media: str = ""
    on: bool = False
    # Of a recording: which, where it stands, and Jitsi's name of it.
    recording_id: UUID | None = None
    status: str = ""
    reference: str = ""


class FactIn(RoomSchema):
    """One event of a batch."""

    id = fields.UUID(required=True)
    type = Word(required=True)
    at = fields.Float(required=True, validate=validate.Range(0, YEAR_2200))
    room = Word()
    participant_id = LooseUuid(allow_none=True)
    connection = Word()
    reason = Word()
    code = Word()
    act = Word()
    count = fields.Integer(validate=validate.Range(min=1))
    by = LooseUuid(allow_none=True)
    media = fields.String(validate=validate.OneOf(["audio", "video", "desktop"]))
    on = fields.Boolean()
    recording_id = LooseUuid(allow_none=True)
    status = fields.String(validate=validate.OneOf(["pending", "on", "off", "refused"]))
    reference = Word()

    @post_load
    def _make(self, data: dict[str, Any], **kwargs: Any) -> Fact:
        return Fact(**{**data, "at": from_unix(data["at"])})


class BatchIn(RoomSchema):
    """A batch of events of one run of Prosody. The events are read one by one: a strange one must
    not keep back the others, because the module sends the whole batch until it is taken."""

    source = Word(required=True)
    events = fields.List(
        fields.Raw(allow_none=True), required=True, validate=validate.Length(max=1000)
    )


@dataclass(frozen=True, slots=True)
class Occupant:
    """One person in a room at the moment a picture was taken."""

    room: str
    participant_id: UUID
    connection: str
    joined_at: datetime


class OccupantIn(RoomSchema):
    """One occupant in the answer to the command `rooms`."""

    participant_id = LooseUuid(required=True, allow_none=True)
    connection = Word(required=True)
    joined_at = fields.Float(required=True, validate=validate.Range(0, YEAR_2200))


class RoomIn(RoomSchema):
    """One room in the answer to the command `rooms`."""

    room = Word(required=True)
    occupants = fields.List(fields.Nested(OccupantIn), required=True)


class AnswerIn(RoomSchema):
    """The answer to the command `rooms`."""

    source = Word(required=True)
    rooms = fields.List(fields.Nested(RoomIn), required=True)


class PictureIn(RoomSchema):
    """What the gateway leaves in Redis: that answer, and when the question was sent."""

    asked_at = fields.Float(required=True, validate=validate.Range(0, YEAR_2200))
    answer = fields.Nested(AnswerIn, required=True)


@dataclass(frozen=True, slots=True)
class Picture:
    """Who was in which room of one run of Prosody, at the earliest at `asked_at`."""

    source: str
    rooms: frozenset[str]
    occupants: tuple[Occupant, ...]
    asked_at: datetime


def read_picture(content: Any) -> Picture:
    """Return the picture the gateway left; occupants who are none of ours are left out.

    Raises:
        marshmallow.ValidationError: it is none.
    """
    data = PictureIn().load(content)
    answer = data["answer"]
    occupants = (
        Occupant(
            room["room"],
            person["participant_id"],
            person["connection"],
            from_unix(person["joined_at"]),
        )
        for room in answer["rooms"]
        for person in room["occupants"]
        if person["participant_id"] is not None
    )
    names = frozenset(room["room"] for room in answer["rooms"])
    return Picture(answer["source"], names, tuple(occupants), from_unix(data["asked_at"]))
