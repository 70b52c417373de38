"""PDF: begins and ends as one. Nothing in it is run or rendered here; whoever opens it does."""

import io
import re

from app.files.inspection.found import Found, broken
from app.files.kinds import PDF

TAIL_BYTES = 2048
# After the last mark there is nothing: an archive that hides behind a document ends otherwise.
END = re.compile(rb"%%EOF[\s\0]*\Z")
HEADER = re.compile(rb"%PDF-[12]\.\d")


def inspect(file: io.BufferedReader, size: int) -> Found:
    """Return it as it is.

    Raises:
        Invalid: it is cut off, or something follows it.
    """
    if HEADER.match(file.read(8)) is None:
        raise broken("PDF")
    file.seek(max(0, size - TAIL_BYTES))
    if END.search(file.read(TAIL_BYTES)) is None:
        raise broken("PDF")
    return Found(PDF)
