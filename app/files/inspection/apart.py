"""Has a file looked at in a process of its own, because decoders meet what strangers made.

A file of a few kilobytes can ask for more memory than there is, or for hours. Here it costs a
process that has nothing else to do, and neither our settings nor our keys; the worker, which also
sends mails and webhooks, goes on. That process asks for the bytes that it wants to see.
"""

import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import structlog

from app.errors import Invalid
from app.files.inspection.found import Found, broken
from app.files.kinds import RULES, Kind

log = structlog.get_logger()

# Enough for 50 million pixels with transparency, turned and written anew: 640 MB as a PNG.
MEMORY_BYTES = 1536 * 1024 * 1024
# Of the processor, and not of the clock: a store that is slow is not the file's fault.
CPU_S = 120
READ_BYTES = 1024 * 1024
LENGTH_BYTES = 4
LONGEST_LINE = 4096
# The libraries would start threads for as many processors as there are, each with memory.
ENVIRONMENT = {"OPENBLAS_NUM_THREADS": "1", "OMP_NUM_THREADS": "1"}
COMMAND = (sys.executable, "-s", "-m", "app.files.inspection")
# Where `app` is, installed or not.
FOLDER = Path(__file__).parents[3]

# Yields a range of the file.
Read = Callable[[int, int], Iterator[bytes]]


def inspect_apart(kind: Kind, size: int, read: Read) -> Found:
    """Return what a file is, if its kind may be that.

    Raises:
        Invalid: it is something else, is not whole, or takes more than one file may. Whatever
            `read` raises goes through.
    """
    ours, theirs = socket.socketpair()
    with ours, theirs:
        child = subprocess.Popen(  # noqa: S603 - our own program, told a kind and a number
            [*COMMAND, str(kind), str(size)],
            stdin=theirs.fileno(),
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env=ENVIRONMENT,
            cwd=FOLDER,
            start_new_session=True,
        )
        theirs.close()
        try:
            return _answered(ours, kind, read)
        except ConnectionError as error:  # it died before it read or said all
            raise _undecoded({}) from error
        finally:
            child.kill()
            child.wait()


def _answered(link: socket.socket, kind: Kind, read: Read) -> Found:
    """Answer what the process asks until it tells what the file is."""
    with link.makefile("rb") as lines:
        while True:
            told = _told(lines.readline(LONGEST_LINE))
            match told:
                case {"read": [int(start), int(length)]} if start >= 0 and 0 < length <= READ_BYTES:
                    piece = b"".join(read(start, length))
                    link.sendall(len(piece).to_bytes(LENGTH_BYTES, "big") + piece)
                case {"code": str(code)}:
                    raise Invalid("The file is not what it should be.", code=code)
                case {"media_type": str(found), "lengths": [int(clean), int(preview)]} if (
                    found in RULES[kind].types and min(clean, preview) >= 0
                ):
                    made, small = lines.read(clean), lines.read(preview)
                    if len(made) == clean and len(small) == preview:
                        return Found(found, made or None, small or None)
                case _:
                    raise _undecoded(told)


def _told(line: bytes) -> dict[str, Any]:
    """Return what a line says; nothing, if the process died."""
    try:
        told = json.loads(line)
    except ValueError:
        return {}
    return told if isinstance(told, dict) else {}


def _undecoded(told: dict[str, Any]) -> Invalid:
    """Log what kind of error it was and where, if it could say so, and refuse the file."""
    failed = {key: str(told.get(key, ""))[:80] for key in ("failed", "place")}
    log.warning("file_not_decoded", **failed)
    return broken("file")
