"""Readers who hardly read, with real sockets on the real API process."""

import socket
from contextlib import ExitStack
from typing import Self
from urllib.parse import urlsplit

import requests

from app.web.slow_readers import JUDGED_EVERY_S
from tests.api import samples
from tests.flow.clinic import Clinic, until
from tests.flow.test_files import Shared

# More than lies between a reader who does not read and the service.
SIZE = 40 * 1024 * 1024
WITHIN_S = 20.0
# Half a minute is judged, and it begins some seconds after they came.
LET_GO_WITHIN_S = 3 * JUDGED_EVERY_S


class Trickler:
    """Somebody who asks for a file and reads a byte of it now and then."""

    def __init__(self, clinic: Clinic, url: str) -> None:
        self._link = socket.create_connection(("127.0.0.1", clinic.stack.ports["api"]), 10)
        path = urlsplit(url).path
        self._link.sendall(f"GET {path} HTTP/1.1\r\nHost: localhost\r\n\r\n".encode())
        self.status = self._link.recv(12)[-3:].decode()

    def reads(self) -> bool:
        """Tell whether there is one byte more."""
        return len(self._link.recv(1)) == 1

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._link.close()


def test_who_trickles_keeps_no_file_from_others(clinic: Clinic) -> None:
    """With one address or several they hold one place; it is free when they are gone."""
    shared = Shared(clinic, "report", samples.pdf(size=SIZE))
    shared.uploader().upload()
    assert shared.becomes("available")
    with ExitStack() as open_ones:
        slow = [
            open_ones.enter_context(Trickler(clinic, shared.address()["url"])) for _ in range(5)
        ]
        assert sorted(one.status for one in slow) == ["200", "503", "503", "503", "503"]
        doctor = clinic.guest("doctor", shared.session)
        theirs = shared.address(participant_id=doctor.id)["url"]
        url = clinic.stack.api_url + urlsplit(theirs).path
        assert requests.get(url, timeout=30).content == shared.content
        assert all(one.reads() for one in slow)
    assert until(lambda: shared.fetch().status_code == 200, WITHIN_S)


def test_who_goes_on_trickling_loses_their_place(clinic: Clinic) -> None:
    """Though their thread is blocked, and the next piece is never asked for."""
    shared = Shared(clinic, "report", samples.pdf(size=SIZE))
    shared.uploader().upload()
    assert shared.becomes("available")
    with Trickler(clinic, shared.address()["url"]) as slow:
        again = clinic.stack.api_url + urlsplit(shared.address()["url"]).path
        refused = requests.get(again, timeout=30)
        assert (refused.status_code, refused.json()["code"]) == (503, "streams_busy")
        assert refused.headers["content-type"] == "application/problem+json"
        assert int(refused.headers["Retry-After"]) > 0
        assert until(
            lambda: slow.reads() and requests.get(again, timeout=30).content == shared.content,
            LET_GO_WITHIN_S,
        )
