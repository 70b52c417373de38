"""Looks at one file in a process of its own, within bounds: `apart` starts it and answers it.

Its bounds come before the decoders, and it has neither our settings nor our keys.
"""

import json
import os
import resource
import signal
import socket
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from app.errors import Invalid
from app.files.inspection.apart import CPU_S, LENGTH_BYTES, MEMORY_BYTES, READ_BYTES
from app.files.kinds import Kind
from app.storage.seeking import buffered


def bound() -> None:
    """Set how much memory and processor this process may use, and be the first to go."""
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CPU, (CPU_S, CPU_S))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Who stops the worker lets it finish this file; it ends when the worker does.
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    with suppress(OSError):  # where there is no such thing, nothing is lost
        Path("/proc/self/oom_score_adj").write_text("1000")


class Asking:
    """The worker at the other end, which reads the file."""

    def __init__(self, link: socket.socket) -> None:
        self._link = link
        self._answers = link.makefile("rb")

    def tell(self, *payload: bytes, **words: Any) -> None:
        """Send one line of JSON, and what belongs to it."""
        self._link.sendall(json.dumps(words).encode() + b"\n" + b"".join(payload))

    def read(self, start: int, length: int) -> Iterator[bytes]:
        """Yield a range of the file."""
        while length > 0:
            self.tell(read=[start, min(length, READ_BYTES)])
            piece = self._answers.read(int.from_bytes(self._answers.read(LENGTH_BYTES), "big"))
            if not piece:
                return
            start, length = start + len(piece), length - len(piece)
            yield piece


def main(kind: str, size: int) -> None:
    """Look at the file and tell what it is, or why it is refused."""
    asking = Asking(socket.socket(fileno=os.dup(sys.stdin.fileno())))
    try:
        from app.files.inspection.inspect import inspect

        found = inspect(Kind(kind), size, lambda: buffered(asking.read, size))
    except Invalid as error:
        asking.tell(code=error.code)
    except Exception as error:  # noqa: BLE001 - whatever a decoder raises at what strangers sent
        asking.tell(failed=type(error).__name__, place=_place_of(error))
    else:
        clean, preview = found.clean or b"", found.preview or b""
        lengths = [len(clean), len(preview)]
        asking.tell(clean, preview, media_type=found.media_type, lengths=lengths)


def _place_of(error: BaseException) -> str:
    """Return where it was raised; the error's words may repeat what is in the file."""
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    if trace is None:
        return ""
    return f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"


if __name__ == "__main__":
    bound()
    main(sys.argv[1], int(sys.argv[2]))
