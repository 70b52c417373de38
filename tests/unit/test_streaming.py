"""Reading a request's body as a stream: from senders who stall, break off, or take their time."""

from collections.abc import Iterator
from threading import Event
from time import monotonic

import pytest
from flask import Flask, Response
from werkzeug.exceptions import ClientDisconnected
from werkzeug.test import TestResponse

from app.web.incoming import AHEAD, PIECE_BYTES, Incoming
from app.web.streaming import body_reader, limit_streams

# A machine may stand still for a second, and a new thread takes its time.
SOON_S = 2.0
LONG_S = 60.0


class Sender:
    """Sends some pieces, and stalls where there are no more until it is let go on."""

    def __init__(self, *pieces: bytes, breaks_off: bool = False) -> None:
        self._pieces = iter(pieces)
        self._breaks_off = breaks_off
        self.goes_on = Event()
        self.is_left = Event()

    def read(self, most: int) -> bytes:
        """Return the next piece, as a web server's read does."""
        piece = next(self._pieces, b"")
        if piece:
            return piece
        if self._breaks_off:
            raise ClientDisconnected
        self.goes_on.wait(LONG_S)
        self.is_left.set()
        return b""


@pytest.fixture
def stalled() -> Iterator[Sender]:
    """A sender who stalls after ten bytes."""
    sender = Sender(b"0123456789")
    yield sender
    sender.goes_on.set()


def test_bytes_come_in_the_pieces_that_are_asked_for() -> None:
    """And end where the sender does."""
    sender = Sender(b"0123456789", b"ab", breaks_off=True)
    incoming = Incoming(sender.read, within_s=LONG_S)
    read = [incoming.read(4) for _ in range(5)]
    assert read == [b"0123", b"4567", b"89", b"ab", b""]
    assert incoming.end()


def test_a_stalled_sender_is_not_waited_for(stalled: Sender) -> None:
    """What came is there; that there is no more is said once and for all."""
    incoming = Incoming(stalled.read, within_s=LONG_S, piece_within_s=SOON_S)
    assert incoming.read(100) == b"0123456789"
    assert incoming.read(100) == b""
    assert incoming.read(100) == b""
    assert not incoming.end()


def test_a_sender_has_so_much_time() -> None:
    """However fast it is."""
    sender = Sender(*[b"x" * PIECE_BYTES] * 3, breaks_off=True)
    incoming = Incoming(sender.read, within_s=0.0)
    assert incoming.read(1) == b""
    assert incoming.end()  # by now the rest has come, and the answer can be read


def test_who_brings_enough_has_more_time() -> None:
    """As much as what came takes at that rate: no more for a length that is only announced."""
    sender = Sender(*[b"x" * PIECE_BYTES] * 3, breaks_off=True)
    incoming = Incoming(sender.read, within_s=SOON_S, least_bytes_per_s=1.0)
    until = monotonic() + SOON_S
    assert incoming.read(1) == b"x"
    while (left_s := until - monotonic()) >= 0:
        Event().wait(left_s)
    assert len(incoming.read(PIECE_BYTES)) == PIECE_BYTES - 1
    assert len(incoming.read(PIECE_BYTES)) == PIECE_BYTES


def test_what_nobody_reads_any_more_is_thrown_away() -> None:
    """The thread that reads ends with its sender, also one that is far ahead."""
    sender = Sender(*[b"x"] * (3 * AHEAD))
    incoming = Incoming(sender.read, within_s=LONG_S, piece_within_s=SOON_S)
    assert incoming.read(1) == b"x"
    sender.goes_on.set()
    assert incoming.end()
    assert sender.is_left.is_set()


def answer_to(sender: Sender, status: int, **headers: str) -> TestResponse:
    """Have a sender bring a body to a view that reads it all and answers so."""
    app = Flask("bodies")
    limit_streams(app, 3)

    @app.patch("/")
    def take() -> Response:
        read = body_reader()
        while read(4):
            pass
        return Response(status=status, headers=headers)

    body = {"wsgi.input": sender, "wsgi.input_terminated": True}
    return app.test_client().patch("/", environ_overrides=body)


def test_who_stalled_is_not_told_that_their_file_is_wrong(stalled: Sender) -> None:
    """It is too short because they were too slow."""
    answer = answer_to(stalled, 422)
    assert (answer.status_code, answer.get_json()["code"]) == (408, "upload_too_slow")


def test_who_stalled_is_told_where_to_go_on_and_cut_off(stalled: Sender) -> None:
    """The answer promises a byte that never comes, so that the server closes the connection."""
    answer = answer_to(stalled, 204, **{"Upload-Offset": "10"})
    assert (answer.status_code, answer.get_json()["code"]) == (408, "upload_too_slow")
    assert answer.headers["Upload-Offset"] == "10"
    assert answer.headers["Retry-After"]
    assert int(answer.headers["Content-Length"]) == len(answer.get_data()) + 1
