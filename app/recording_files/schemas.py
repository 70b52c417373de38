"""Files of recordings: as recorders tell of them, and as the API gives them."""

import binascii
import re
from base64 import b64decode
from typing import Any

from marshmallow import ValidationError, fields, validate

from app.recording_files.states import State
from app.rooms.schemas import RoomSchema
from app.web.schemas import In, Moment, Out, Text

LONGEST_WORDS = 1000
LONGEST_METADATA = 150_000
# As Jibri names folders; and a file in one, which is never a path.
FOLDER = re.compile(r"[A-Za-z0-9_-]{1,200}\Z")
NAME = re.compile(r"(?!\.)[^/\\\x00-\x1f\x7f\ud800-\udfff]{1,200}\Z")
HASH = re.compile(r"[0-9a-f]{64}\Z")


class Bytes(fields.Field[bytes]):
    """Bytes in base64."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bytes:
        try:
            if len(value) <= LONGEST_METADATA:
                return b64decode(value, validate=True)
        except (binascii.Error, TypeError, ValueError) as error:
            raise ValidationError("Not base64.") from error
        raise ValidationError("Too long.")


class Hash(fields.Field[bytes]):
    """A SHA-256 in hexadecimal."""

    def _deserialize(self, value: Any, attr: Any, data: Any, **kwargs: Any) -> bytes:
        if not isinstance(value, str) or not HASH.match(value):
            raise ValidationError("Not a SHA-256.")
        return bytes.fromhex(value)


class ToldIn(RoomSchema):
    """What a recorder says of a file."""

    folder = fields.String(required=True, validate=validate.Regexp(FOLDER))
    name = fields.String(required=True, validate=validate.Regexp(NAME))
    size_bytes = fields.Integer(required=True, strict=True, validate=validate.Range(0, 2**62))
    sha256 = Hash(required=True)
    is_partial = fields.Boolean(load_default=False)
    metadata = Bytes(load_default=b"")


class RecordingFileOut(Out):
    """A file that a recorder left. What it is made of is known once it was looked at."""

    id = fields.UUID(required=True)
    state = fields.String(required=True, validate=validate.OneOf(list(State)))
    reason = fields.String(
        required=True,
        allow_none=True,
        metadata={"description": "What it waits for, or why it failed or is withheld."},
    )
    findings = fields.List(
        fields.String(),
        required=True,
        metadata={"description": "What was found to be odd about it: codes of docs/recording.md."},
    )
    is_partial = fields.Boolean(
        required=True,
        metadata={"description": "The recorder did not end in order; the end may be missing."},
    )
    size_bytes = fields.Integer(required=True)
    received_bytes = fields.Integer(required=True)
    progress = fields.Integer(
        required=True, metadata={"description": "Per cent of the work on it that is done."}
    )
    sha256 = fields.String(
        required=True, metadata={"description": "Of the file as it was recorded, in hexadecimal."}
    )
    media_type = fields.String(required=True, allow_none=True)
    duration_ms = fields.Integer(required=True, allow_none=True)
    width = fields.Integer(required=True, allow_none=True)
    height = fields.Integer(required=True, allow_none=True)
    video_codec = fields.String(required=True, allow_none=True)
    audio_codec = fields.String(required=True, allow_none=True)
    has_poster = fields.Boolean(required=True)
    created_at = Moment(required=True)
    kept_at = Moment(
        required=True,
        allow_none=True,
        metadata={"description": "When it was stored, as whole as the recorder had it."},
    )
    ready_at = Moment(required=True, allow_none=True)


class ReleaseIn(In):
    """Why a withheld file may be seen all the same; for the audit log."""

    reason = Text(required=True, shortest=5, longest=LONGEST_WORDS)
