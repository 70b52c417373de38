"""Recordings as the API takes and gives them."""

from marshmallow import fields, validate

from app.files.schemas import StoredTraceOut
from app.recording_files.schemas import RecordingFileOut
from app.recordings.states import State
from app.rooms.schemas import LooseUuid, RoomSchema, Word
from app.web.schemas import Flag, In, Moment, Out, PageIn, PageOut


class RecordingIn(In):
    """A recording to ask for."""

    ask_first = Flag(
        load_default=False,
        metadata={
            "description": "Ask those who have not answered yet, and start when all agree. Without"
            " it the answer is then 409 `consent_missing`."
        },
    )


class RecordingOut(Out):
    """A recording. `reason` says what it waits for, or why it stopped, failed or is withheld."""

    id = fields.UUID(required=True)
    session_id = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(State)))
    reason = fields.String(required=True, allow_none=True)
    created_at = Moment(required=True)
    started_at = Moment(required=True, allow_none=True)
    stopped_at = Moment(required=True, allow_none=True)
    withdrawn_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "When somebody who may be in it took their consent back."},
    )
    files = fields.List(
        fields.Nested(RecordingFileOut),
        required=True,
        metadata={"description": "What recorders left, in the order it came."},
    )
    version = fields.Integer(required=True)


class DeletionOut(Out):
    """What shows that a recording is gone."""

    recording_id = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf(["expired", "deleted"]))
    deleted_at = Moment(required=True)
    deleted_by_kind = fields.String(required=True)
    deleted_by = fields.String(required=True, allow_none=True)
    stored_files = fields.List(fields.Nested(StoredTraceOut), required=True)


class RecordingPageOut(PageOut):
    """One page of recordings, newest first."""

    items = fields.List(fields.Nested(RecordingOut), required=True)


class RecordingQuery(PageIn):
    """Where a page of recordings starts."""


class GateIn(RoomSchema):
    """The question of the room: may a recorder be asked for now?"""

    room = Word(required=True)
    recording_id = LooseUuid(load_default=None, allow_none=True)
    actor_id = LooseUuid(load_default=None, allow_none=True)
    occupants = fields.List(
        LooseUuid(allow_none=True), required=True, validate=validate.Length(min=1, max=1000)
    )
