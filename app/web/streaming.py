"""Bytes of files in and out of requests: without holding them, and without holding up the rest.

A request has its thread until its last byte, and whoever sends slowly keeps it long. So at most
a third of a process' threads carry files. Another third may wait for services outside (`Bulkhead`);
the rest answers everything else meanwhile.
"""

import sys
from collections.abc import Callable, Iterator
from functools import wraps
from threading import BoundedSemaphore
from time import monotonic
from typing import Any

from flask import Flask, Response, current_app, request
from werkzeug.exceptions import ClientDisconnected

from app.errors import Unavailable
from app.ports import Pieces

EXTENSION = "teleconsult-streams"
COME_BACK_S = 2
# How long one request may bring bytes.
TAKES_S = 30.0


def limit_streams(app: Flask, threads: int) -> None:
    """Let at most a third of this process' threads carry files, one at least."""
    app.extensions[EXTENSION] = BoundedSemaphore(max(1, threads // 3))


def takes_stream(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view read a body of any length as a stream. The body is not looked at before."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        # None would mean the application's own limit.
        request.max_content_length = sys.maxsize
        place = _Place(current_app.extensions[EXTENSION])
        try:
            return view(*args, **kwargs)
        finally:
            place.leave()

    return wrapper


def send(content: Callable[[], Pieces], **headers: str) -> Response:
    """Return an answer whose bytes are asked for as they are sent; the first are read at once, so
    that whoever gets an answer gets bytes.

    Raises:
        Unavailable: as many files are on their way as may be. Whatever `content` and its first
            piece raise goes through.
    """
    place = _Place(current_app.extensions[EXTENSION])
    try:
        stream = content()
        first = next(stream, b"")
    except BaseException:
        place.leave()
        raise

    def end() -> None:
        stream.close()
        place.leave()

    def pieces() -> Iterator[bytes]:
        # Given back by whichever comes first: the last byte, or the server that closes the answer.
        try:
            yield first
            yield from stream
        finally:
            end()

    response = Response(pieces(), headers=headers)
    response.call_on_close(end)
    return response


def body_reader(within_s: float = TAKES_S) -> Callable[[int], bytes]:
    """Return what reads the body of this request; a connection that breaks is its end, and so is a
    sender who takes longer than `within_s`: others wait for the place, and it may come again. The
    time is looked at between two reads; a sender of nothing at all is the proxy's to cut off."""
    until = monotonic() + within_s

    def read(most: int) -> bytes:
        if monotonic() >= until:
            return b""
        try:
            return request.stream.read(most)
        except (ClientDisconnected, OSError):
            return b""

    return read


class _Place:
    """One of the few threads that carry files, until it is left.

    Raises:
        Unavailable: none is free.
    """

    def __init__(self, places: BoundedSemaphore) -> None:
        if not places.acquire(blocking=False):
            raise Unavailable(
                "Many files are on their way just now; try again.",
                code="streams_busy",
                retry_after_s=COME_BACK_S,
            )
        self._leave = [places.release]

    def leave(self) -> None:
        """Let the next one in; a second time does nothing."""
        if self._leave:
            self._leave.pop()()
