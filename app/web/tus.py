"""The core of tus 1.0.0 (https://tus.io/protocols/resumable-upload), as far as it is HTTP."""

import re
from typing import Any

from flask import Response, request
from werkzeug.datastructures import Headers

from app.errors import Invalid

VERSION = "1.0.0"
OFFSET_STREAM = "application/offset+octet-stream"
OFFSET = re.compile(r"[0-9]{1,18}")


def sent_offset() -> int:
    """Return where the bytes of this request belong.

    Raises:
        Invalid: it does not say, or they are no bytes of a file.
    """
    if request.mimetype != OFFSET_STREAM:
        raise Invalid(f"Send bytes as {OFFSET_STREAM}.", code="upload_type", field="Content-Type")
    offset = request.headers.get("Upload-Offset", "")
    if not OFFSET.fullmatch(offset):
        raise Invalid("Say where the bytes belong.", code="upload_offset", field="Upload-Offset")
    return int(offset)


def answer(status: int, **headers: Any) -> Response:
    """Return an answer without a body."""
    kept = Headers({"Tus-Resumable": VERSION, "Cache-Control": "no-store", **headers})
    return Response(status=status, headers=kept)
