"""Files as the API takes and gives them. Bytes travel by tus and by short-lived links."""

from marshmallow import EXCLUDE, Schema, fields, validate

from app.files.kinds import Kind
from app.files.names import LONGEST
from app.files.states import State
from app.rooms.schemas import RoomSchema, Word
from app.web.schemas import Count, Flag, In, Moment, Out, PageIn, PageOut, Text

KINDS = [str(kind) for kind in Kind]
LARGEST = 2**40


class SharedFileIn(In):
    """A file whose bytes come next."""

    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    name = Text(
        required=True,
        longest=1000,
        metadata={"description": f"As people will see it; at most {LONGEST} characters are kept."},
    )
    size_bytes = Count(required=True, validate=validate.Range(1, LARGEST))
    supersedes_id = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "The prescription that this one takes the place of."},
    )


class FileIn(SharedFileIn):
    """The same of the hospital's own programs, which say who prescribes."""

    author_id = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "Of a prescription: who of the session answers for it."},
    )


class ViewOut(Out):
    """Somebody of the session opened the file."""

    participant_id = fields.UUID(required=True)
    first_at = Moment(required=True)


class FileOut(Out):
    """A file of a session."""

    id = fields.UUID(required=True)
    kind = fields.String(required=True, validate=validate.OneOf(KINDS))
    state = fields.String(required=True, validate=validate.OneOf([str(s) for s in State]))
    name = fields.String(required=True)
    size_bytes = fields.Integer(required=True)
    received_bytes = fields.Integer(required=True)
    media_type = fields.String(allow_none=True)
    reason = fields.String(
        allow_none=True,
        metadata={"description": "Why it was refused, or what it waits for; a code."},
    )
    shared_by_kind = fields.String(required=True)
    shared_by = fields.String(required=True)
    author_id = fields.UUID(allow_none=True)
    supersedes_id = fields.UUID(allow_none=True)
    superseded_by_id = fields.UUID(allow_none=True)
    has_preview = fields.Boolean(required=True)
    seen_by = fields.List(fields.Nested(ViewOut), required=True)
    created_at = Moment(required=True)
    available_at = Moment(allow_none=True)
    deleted_at = Moment(allow_none=True)


class AnnouncedOut(FileOut):
    """A file whose bytes come next, and where they go."""

    upload_url = fields.String(
        required=True, metadata={"description": "Takes the bytes by tus 1.0.0 for 24 hours."}
    )


class FileQuery(PageIn):
    """Filters of the list."""

    kind = fields.String(validate=validate.OneOf(KINDS))
    state = fields.String(validate=validate.OneOf([str(s) for s in State]))


class FilePageOut(PageOut):
    """One page of files, newest first."""

    items = fields.List(fields.Nested(FileOut), required=True)


class AddressIn(In):
    """What is to be opened."""

    preview = Flag(load_default=False)


class AddressFor(AddressIn):
    """What is to be opened, and by whom."""

    participant_id = fields.UUID(
        load_default=None,
        allow_none=True,
        metadata={"description": "For a person of the session; otherwise for the caller itself."},
    )


class AddressOut(Out):
    """A link to the bytes, for one person and a few minutes."""

    url = fields.String(required=True)
    expires_at = Moment(required=True)


class JitsiFileIn(Schema):
    """What Jitsi's client says of a file beside it; the rest of it is not believed."""

    class Meta:
        unknown = EXCLUDE

    file_id = fields.UUID(required=True, data_key="fileId")
    file_name = fields.String(load_default="", data_key="fileName")
    file_size = fields.Integer(
        required=True, strict=True, data_key="fileSize", validate=validate.Range(1, LARGEST)
    )


class RoomFilesIn(RoomSchema):
    """Prosody's question what there is in a room."""

    room = Word(required=True)


class RoomPassIn(RoomSchema):
    """Prosody's question for a pass, for somebody in a meeting."""

    participant_id = fields.UUID(required=True)
    link_id = fields.UUID(required=True)
    meeting = Word(required=True)


class StoredTraceOut(Out):
    """What is left of a stored file."""

    id = fields.UUID(required=True)
    key_destroyed_at = Moment(
        required=True,
        allow_none=True,
        attribute="destroyed_at",
        metadata={"description": "null: its key is still there, which must not be."},
    )
    erased_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "null: the store has not confirmed yet that its bytes are gone."},
    )


class FileDeletionOut(Out):
    """What shows that a file is gone."""

    file_id = fields.UUID(required=True)
    deleted_at = Moment(required=True)
    stored_files = fields.List(fields.Nested(StoredTraceOut), required=True)
