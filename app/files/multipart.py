"""A form with one file (multipart/form-data, RFC 7578), read as it arrives. Flask's own parser
would put the file, unencrypted, into a temporary folder."""

from collections.abc import Iterator

from multipart import MultipartError, MultipartSegment, PushMultipartParser

from app.errors import Invalid
from app.storage.arriving import Read

PIECE_BYTES = 16 * 1024
# Of all that is no file.
FIELDS_BYTES = 64 * 1024
MOST_PARTS = 8


class FormWithFile:
    """The fields before the file, and then its bytes.

    Args:
        read: reads the body.
        boundary: what stands between the parts.
    """

    def __init__(self, read: Read, boundary: str) -> None:
        self._events = _events(read, boundary)
        self._held = b""
        self._has_ended = False
        self.file_name = ""

    def fields(self) -> dict[str, str]:
        """Return the fields before the file, whose bytes come next.

        Raises:
            Invalid: it is no such form, or has no file.
        """
        found: dict[str, bytearray] = {}
        name, left = "", FIELDS_BYTES
        for event in self._events:
            if isinstance(event, MultipartSegment):
                if event.filename is not None:
                    self.file_name = event.filename
                    return {key: value.decode("utf-8", "replace") for key, value in found.items()}
                name = event.name or ""
                found[name] = bytearray()
            elif event is not None:
                found[name] += event
                left -= len(event)
                if left < 0:
                    break
        raise _no_form()

    def read(self, most: int) -> bytes:
        """Return the next bytes of the file; none at its end, and where the body broke off."""
        if not self._held and not self._has_ended:
            self._held = self._next_of_file()
        piece, self._held = self._held[:most], self._held[most:]
        return piece

    def _next_of_file(self) -> bytes:
        try:
            event = next(self._events, None)
        except Invalid:
            event = None
        self._has_ended = event is None
        return bytes(event) if isinstance(event, bytes | bytearray) else b""


def _events(read: Read, boundary: str) -> Iterator[MultipartSegment | bytes | bytearray | None]:
    try:
        parser = PushMultipartParser(boundary, max_segment_count=MOST_PARTS, strict=True)
        yield from parser.parse_blocking(read, PIECE_BYTES)
    except MultipartError as error:
        raise _no_form() from error


def _no_form() -> Invalid:
    return Invalid("Send a form with the fields metadata and file.", code="invalid_request")
