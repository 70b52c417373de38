"""The true type of a file, by its content; whatever its name and sender say."""

import warnings

from puremagic import PureError, magic_string

from app.files.inspection.found import Found, OpenFile, not_this_type
from app.files.kinds import DICOM, IMAGES, PDF, RULES, Kind

HEAD_BYTES = 4096
KNOWN = (*sorted(IMAGES), PDF, DICOM)


def inspect(kind: Kind, size: int, open_file: OpenFile) -> Found:
    """Return what a file is, if its kind may be that.

    Raises:
        Invalid: it is something else, or is not whole, or is too large to be decoded.
    """
    with open_file() as file:
        told = true_type(file.read(HEAD_BYTES))
    if told not in RULES[kind].types:
        raise not_this_type(told)
    with open_file() as file, warnings.catch_warnings():
        # The libraries warn in words that they read in the file; what matters is refused.
        warnings.simplefilter("ignore")
        # Where they are needed: each file has a process of its own, and numpy takes its time.
        if told in IMAGES:
            from app.files.inspection import images

            return images.inspect(file, told)
        if told == DICOM:
            from app.files.inspection import dicom

            return dicom.inspect(file, size)
        from app.files.inspection import pdf

        return pdf.inspect(file, size)


def true_type(head: bytes) -> str:
    """Return the media type that a file's beginning shows, '' when nobody knows."""
    try:
        found = [match.mime_type for match in magic_string(head)]
    except (PureError, ValueError):
        return ""
    return next((one for one in KNOWN if one in found), found[0] if found else "")
