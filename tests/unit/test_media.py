"""What ffmpeg may do, and who may read what it reads."""

import http.client
from collections.abc import Iterator
from contextlib import closing
from urllib.parse import urlsplit

import pytest

from app.errors import Invalid, Unavailable
from app.ports import Pieces
from app.recording_files.media import ffmpeg
from app.recording_files.media.playable import playable
from app.recording_files.media.probing import form_of, probe
from app.recording_files.media.serving import Served, served
from tests.api.recorder import film


@pytest.fixture(scope="module")
def other(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    """A film that has to be encoded anew."""
    return film(tmp_path_factory.mktemp("film") / "other.mp4", codecs=("-c:v", "mpeg4"))


@pytest.fixture
def server(other: bytes) -> Iterator[Served]:
    def read(start: int, length: int) -> Pieces:
        yield other[start : start + length]

    with served(read, len(other)) as serving:
        yield serving


def made(server: Served, other: bytes) -> bytes:
    """Return what a browser plays."""
    probed = probe(server.url, other[:12])
    pieces = playable(server.read, server.size, server.url, probed, progress=done.append)
    assert pieces is not None
    return b"".join(pieces)


done: list[float] = []


def test_work_says_how_far_it_is(server: Served, other: bytes) -> None:
    assert b"moov" in made(server, other)
    assert done == sorted(done)
    assert 0 < done[-1] <= 100


def test_what_grows_too_large_is_not_made(
    server: Served, other: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(ffmpeg, "MOST_WRITTEN_BYTES", 10_000)
    with pytest.raises(Invalid) as refused:
        made(server, other)
    assert refused.value.code == "media_unreadable"


@pytest.mark.parametrize(("bound", "value"), [("MEMORY_BYTES", 20_000_000), ("LOOK_CPU_S", 0)])
def test_what_takes_too_much_is_no_film(
    server: Served, other: bytes, monkeypatch: pytest.MonkeyPatch, bound: str, value: int
) -> None:
    """It ends that process, and nothing else."""
    monkeypatch.setattr(ffmpeg, bound, value)
    with pytest.raises(Invalid):
        probe(server.url, other[:12])


def test_what_takes_too_long_is_no_film(
    other: bytes, monkeypatch: pytest.MonkeyPatch, server: Served
) -> None:
    monkeypatch.setattr(ffmpeg, "LOOK_WITHIN_S", 0.001)
    with pytest.raises(Invalid):
        probe(server.url, other[:12])


def ask(server: Served, path: str, wanted: str = "") -> tuple[int, bytes]:
    link = http.client.HTTPConnection("127.0.0.1", server.server_port, timeout=5)
    with closing(link):
        link.request("GET", path, headers={"Range": wanted} if wanted else {})
        answer = link.getresponse()
        return answer.status, answer.read()


def test_only_who_was_told_the_address_reads(server: Served, other: bytes) -> None:
    address = urlsplit(server.url).path
    assert len(address) > 30
    assert ask(server, "/")[0] == 404
    assert ask(server, address + "x")[0] == 404
    assert ask(server, address) == (206, other)
    assert ask(server, address, "bytes=5-9") == (206, other[5:10])
    assert ask(server, address, "bytes=5-") == (206, other[5:])
    assert ask(server, address, f"bytes={len(other)}-")[0] == 416


def test_a_store_that_is_away_is_not_the_files_fault() -> None:
    """ffmpeg cannot tell the one from the other."""

    def read(start: int, length: int) -> Pieces:
        raise Unavailable("away", code="storage_unavailable")
        yield b""

    with served(read, 100) as serving:
        with pytest.raises(Invalid):
            probe(serving.url, b"\x00\x00\x00\x18ftypmp42")
        with pytest.raises(Unavailable) as why:
            serving.check()
    assert why.value.code == "storage_unavailable"


@pytest.mark.parametrize("head", [b"", b"RIFF1234AVI ", b"#EXTM3U\n", b"ffconcat version 1.0"])
def test_what_begins_otherwise_is_not_given_to_ffmpeg(head: bytes) -> None:
    with pytest.raises(Invalid):
        form_of(head)
