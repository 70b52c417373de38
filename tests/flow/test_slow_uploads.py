"""Senders who stall or trickle, and two of one file, with real sockets on the real API process."""

import asyncio
import json
import select
import socket
from contextlib import closing
from urllib.parse import urlsplit
from uuid import uuid4

import requests

from app.adapters.turns_redis import PREFIX
from app.web.incoming import PIECE_WITHIN_S
from tests.api import samples
from tests.bench.processes import tree
from tests.flow.clinic import Clinic, until
from tests.flow.jitsi_sharing import sharing
from tests.flow.test_files import Shared

SIZE = 10 * 1024 * 1024
# Longer than the slow are waited for; a test fails if they are.
PATIENCE_S = 5 * PIECE_WITHIN_S
TRICKLE_EVERY_S = 0.2


class RawUpload(Shared):
    """A file whose bytes go over a socket of our own."""

    def __init__(self, clinic: Clinic) -> None:
        super().__init__(clinic, "report", samples.pdf(size=SIZE))
        self.ticket = urlsplit(self._announced["upload_url"]).path
        self._port = clinic.stack.ports["api"]

    def connect(self, *, offset: int = 0) -> socket.socket:
        """Send the head of a request, and no byte of the file."""
        link = socket.create_connection(("127.0.0.1", self._port), 10)
        head = (
            f"PATCH {self.ticket} HTTP/1.1\r\nHost: localhost\r\nTus-Resumable: 1.0.0\r\n"
            f"Upload-Offset: {offset}\r\nContent-Type: application/offset+octet-stream\r\n"
            f"Content-Length: {len(self.content) - offset}\r\n\r\n"
        )
        link.sendall(head.encode())
        return link

    def head(self) -> int:
        """Ask how much has arrived."""
        answer = requests.head(f"http://127.0.0.1:{self._port}{self.ticket}", timeout=10)
        return int(answer.headers["Upload-Offset"])

    def patch(self, offset: int) -> requests.Response:
        """Send the rest, as any client does."""
        headers = {
            "Upload-Offset": str(offset),
            "Content-Type": "application/offset+octet-stream",
        }
        url = f"http://127.0.0.1:{self._port}{self.ticket}"
        return requests.patch(url, self.content[offset:], headers=headers, timeout=30)


def trickled(link: socket.socket, rest: bytes) -> bytes:
    """Send a byte at a time until an answer comes; return it, as far as the server sends it."""
    for at in range(int(PATIENCE_S / TRICKLE_EVERY_S)):
        if select.select([link], [], [], TRICKLE_EVERY_S)[0]:
            break
        link.sendall(rest[at : at + 1])
    return heard(link)


def heard(link: socket.socket) -> bytes:
    """Return what the server says until it ends the connection; not all of it may come at once."""
    answer = b""
    try:
        while piece := link.recv(65536):
            answer += piece
    except ConnectionResetError:
        pass  # it did not read what we sent last
    return answer


def threads_of(clinic: Clinic) -> int:
    return sum(one.num_threads() for one in tree(clinic.stack.part("api")))


def test_who_trickles_holds_no_place(clinic: Clinic) -> None:
    """They are told so and cut off, what they sent in time is kept, and no thread stays behind.
    Meanwhile they have no second place."""
    before = threads_of(clinic)
    upload, another = RawUpload(clinic), RawUpload(clinic)
    with closing(upload.connect()) as link:
        link.sendall(upload.content[:100_000])
        assert until(lambda: another.patch(another.head()).status_code == 503, PATIENCE_S)
        head, _, body = trickled(link, upload.content[100_000:]).partition(b"\r\n\r\n")
        assert head.startswith(b"HTTP/1.1 408"), head
        assert json.loads(body)["code"] == "upload_too_slow"
        kept = next(
            int(line.partition(b":")[2])
            for line in head.lower().split(b"\r\n")
            if line.startswith(b"upload-offset:")
        )
        assert 0 < kept <= 100_000 + PATIENCE_S / TRICKLE_EVERY_S
        assert upload.head() == kept
        assert until(lambda: threads_of(clinic) <= before + 2, PATIENCE_S)
        assert upload.patch(kept).status_code == 204
        assert upload.becomes("available")
        assert upload.fetch().content == upload.content


def test_who_trickles_into_jitsis_form_holds_no_place(clinic: Clinic) -> None:
    """Enough to be no staller, and too little for the length they announce: they are told so when
    a minute is not over, and not that their file is wrong."""

    async def try_it() -> None:
        async with sharing(clinic, "doctor") as (doctor,):
            shown, meeting = await doctor.fetch_pass(), await doctor.meeting()
            with closing(begun_form(clinic, shown, meeting)) as link:
                answer = await asyncio.to_thread(slowed, link)
            assert answer.startswith(b"HTTP/1.1 408"), answer
            assert b"upload_too_slow" in answer

    asyncio.run(try_it())


def begun_form(clinic: Clinic, shown: str, meeting: str) -> socket.socket:
    """Send a form with a file of 50 MB up to the file's beginning."""
    link = socket.create_connection(("127.0.0.1", clinic.stack.ports["api"]), 10)
    said = json.dumps({"fileId": str(uuid4()), "fileName": "a.pdf", "fileSize": 50_000_000})
    part = "--b\r\nContent-Disposition: form-data; name="
    form = f'{part}"metadata"\r\n\r\n{said}\r\n{part}"file"; filename="a.pdf"\r\n\r\n'
    head = (
        f"POST /jitsi/documents/sessions/{meeting}/files HTTP/1.1\r\nHost: localhost\r\n"
        f"Authorization: Bearer {shown}\r\nContent-Type: multipart/form-data; boundary=b\r\n"
        f"Content-Length: {50_000_000 + len(form)}\r\n\r\n"
    )
    link.sendall((head + form).encode() + samples.pdf())
    return link


def slowed(link: socket.socket) -> bytes:
    """Send ten KiB a second until an answer comes, for a minute at most; return it."""
    for _ in range(int(60 / TRICKLE_EVERY_S)):
        if select.select([link], [], [], TRICKLE_EVERY_S)[0]:
            break
        link.sendall(bytes(2048))
    return heard(link)


def test_a_second_sender_of_one_file_is_told_to_come_back(clinic: Clinic) -> None:
    """At once, and the first one's bytes are the file."""
    upload = RawUpload(clinic)
    with closing(upload.connect()) as first:
        first.sendall(upload.content[:70_000])
        turn = f"{PREFIX}:upload:{upload.path.rpartition('/')[2]}"
        assert until(lambda: bool(clinic.services.redis.exists(turn)), PATIENCE_S)
        refused = upload.patch(0)
        assert refused.status_code == 423
        assert refused.json()["code"] == "upload_busy"
        assert refused.json()["retryable"]
        assert int(refused.headers["Retry-After"]) > 0
        first.sendall(upload.content[70_000:])
        assert first.recv(65536).startswith(b"HTTP/1.1 204")
    assert upload.becomes("available")
    assert upload.fetch().content == upload.content


def test_a_sender_whose_connection_hangs_is_waited_for_only_shortly(clinic: Clinic) -> None:
    """A phone that changed its network comes back while its old connection seems alive."""
    upload = RawUpload(clinic)
    with closing(upload.connect()) as old:
        old.sendall(upload.content[:70_000])
        assert until(lambda: upload.patch(upload.head()).status_code == 204, PATIENCE_S)
    assert upload.becomes("available")
    assert upload.fetch().content == upload.content
