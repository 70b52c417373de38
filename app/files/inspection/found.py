"""What an inspection comes to."""

import io
from collections.abc import Callable
from dataclasses import dataclass, field

from app.errors import Invalid

# Opens the file to read anywhere in it, without any of it lying on a disk.
OpenFile = Callable[[], io.BufferedReader]


@dataclass(frozen=True, slots=True)
class Found:
    """A file that may be shared. `clean`: what to keep in its place, without what its maker's
    device wrote about people and places; None keeps it as it is. `preview`: a small JPEG."""

    media_type: str
    clean: bytes | None = field(default=None, repr=False)
    preview: bytes | None = field(default=None, repr=False)


def not_this_type(told: str) -> Invalid:
    """Say that the content is none of the types that this kind may be."""
    return Invalid(f"A file of this kind cannot be {told or 'this'}.", code="file_type_not_allowed")


def broken(what: str) -> Invalid:
    """Say that the content is not whole, or not what it begins as."""
    return Invalid(f"This {what} is damaged or cut off.", code="file_damaged")
