"""Bytes of files in and out of requests: without holding them, and without holding up the rest.

A request has its thread until its last byte, and whoever sends slowly keeps it long. So at most
a third of a process' threads carry files, and for some seconds another third waits to (`Places`).
The rest answers everything else meanwhile, and at most a third of all waits for services outside
(`Bulkhead`).
"""

import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import wraps
from http import HTTPStatus
from typing import Any

from flask import Flask, Response, current_app, g, request

from app.errors import TooSlow
from app.ports import Pieces
from app.web.incoming import Incoming
from app.web.outgoing import paced
from app.web.places import COME_BACK_S, Places
from app.web.problems import from_domain
from app.web.slow_readers import Ends, SlowReaders

EXTENSION = "teleconsult-streams"
READERS = "teleconsult-readers"
INCOMING = "incoming_body"
# Where the next stretch begins is told to the slow, too.
KEPT = ("Tus-Resumable", "Upload-Offset", "Cache-Control")
# How long one request may bring bytes.
TAKES_S = 30.0


def limit_streams(app: Flask, threads: int) -> None:
    """Let at most a third of this process' threads carry files, one at least."""
    app.extensions[EXTENSION] = Places(threads)
    app.extensions[READERS] = SlowReaders()
    app.after_request(_stop_the_slow)


def takes_stream(view: Callable[..., Any]) -> Callable[..., Any]:
    """Let a view that our own programs call read a body of any length; see `taking_stream`."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        with taking_stream():
            return view(*args, **kwargs)

    return wrapper


@contextmanager
def taking_stream(holder: str = "", *, wait_s: float = 0.0) -> Iterator[None]:
    """Let the block read a body as a stream; see `body_reader`.

    Args:
        holder: who brings it, once they have proved that; see `Places`.
        wait_s: how long to wait for a place, for clients that do not come again. Nobody waits who
            has proved nothing: while they do they hold a thread.

    Raises:
        Unavailable: as many files come in as may, from all or from this holder.
    """
    place = _places().take(holder and f"in {holder}", wait_s=wait_s)
    try:
        yield
    finally:
        place.leave()


def send(content: Callable[[], Pieces], *, holder: str = "", **headers: str) -> Response:
    """Return an answer whose bytes are asked for as they are sent; the first are read at once, so
    that whoever gets an answer gets bytes. A reader who is too slow is cut off.

    Args:
        holder: whose answer it is; see `Places`.

    Raises:
        Unavailable: as many files are on their way as may be, of all or of this holder. Whatever
            `content` and its first piece raise goes through.
    """
    place = _places().take(holder and f"out {holder}")
    try:
        stream = content()
        first = next(stream, b"")
    except BaseException:
        place.leave()
        raise

    readers: SlowReaders = current_app.extensions[READERS]
    reader = readers.join(_ends())

    def end() -> None:
        stream.close()
        place.leave()
        readers.leave(reader)

    def pieces() -> Pieces:
        # Given back by whichever comes first: the last byte, or the server that closes the answer.
        try:
            yield first
            yield from stream
        finally:
            end()

    response = Response(paced(pieces(), reader), headers=headers)
    response.call_on_close(end)
    return response


def body_reader(least_bytes_per_s: float | None = None) -> Callable[[int], bytes]:
    """Return what reads the body of this request, of any length and not looked at before: for half
    a minute, or longer from a sender who goes on bringing so much, since others wait for the place.
    A connection that breaks is its end, and so is a sender who stalls; see `Incoming`."""
    # None would mean the application's own limit.
    request.max_content_length = sys.maxsize
    incoming = Incoming(request.stream.read, within_s=TAKES_S, least_bytes_per_s=least_bytes_per_s)
    setattr(g, INCOMING, incoming)
    return incoming.read


def _places() -> Places:
    places: Places = current_app.extensions[EXTENSION]
    return places


def _ends() -> Ends:
    """Return the ends of this request's own connection, whoever is behind a proxy."""
    direct: dict[str, str] = request.environ.get("werkzeug.proxy_fix.orig", request.environ)
    return direct["REMOTE_ADDR"], int(request.environ["SERVER_PORT"])


def _stop_the_slow(response: Response) -> Response:
    """Say to a sender that was not waited for that it was too slow, and end the connection; the
    thread that reads from it would otherwise be there for as long as the sender likes."""
    incoming: Incoming | None = g.pop(INCOMING, None)
    if incoming is None or incoming.has_ended:
        return response
    # A file that is not whole is not its sender's mistake then.
    was_cut = incoming.was_too_slow and response.status_code == HTTPStatus.UNPROCESSABLE_ENTITY
    if response.status_code < HTTPStatus.BAD_REQUEST or was_cut:
        if incoming.end() and not was_cut:
            return response
        told = {name: response.headers[name] for name in KEPT if name in response.headers}
        response = from_domain(_too_slow())
        response.headers.extend(told)
    return _ending(response, incoming)


def _ending(response: Response, incoming: Incoming) -> Response:
    """Return an answer that promises one byte more than it has, a white space behind its JSON, and
    keeps that promise only if its request ends soon. The web server knows no other way to close a
    connection whose request goes on."""
    body = response.get_data()

    def pieces() -> Iterator[bytes]:
        yield body
        if incoming.end():
            yield b"\n"

    response.response = pieces()
    response.headers["Content-Length"] = str(len(body) + 1)
    return response


def _too_slow() -> TooSlow:
    return TooSlow(
        "The bytes came too slowly, or for too long at once; go on from where they ended.",
        code="upload_too_slow",
        retry_after_s=COME_BACK_S,
    )
