"""Files are looked at in a process that may not use more than its share, and may die."""

import os
import resource
import signal
from collections.abc import Iterator
from pathlib import Path
from threading import get_native_id

import pytest

from app.errors import Invalid, Unavailable
from app.files.inspection.apart import MEMORY_BYTES, Read, inspect_apart
from app.files.kinds import JPEG, Kind
from tests.api import samples


def of(content: bytes) -> Read:
    """Read ranges of bytes."""
    return lambda start, length: iter([content[start : start + length]])


def test_what_is_found_comes_back() -> None:
    """The picture without its note, and its preview."""
    photo = samples.phone_photo(300, 200)
    found = inspect_apart(Kind.IMAGE, len(photo), of(photo))
    assert found.media_type == JPEG
    for made in (found.clean, found.preview):
        assert made is not None
        assert made.startswith(b"\xff\xd8")
        assert samples.MARK not in made


def test_a_bomb_stays_within_its_bounds() -> None:
    """It would take four gigabytes."""
    bomb = samples.dicom_bomb()
    with pytest.raises(Invalid) as refused:
        inspect_apart(Kind.XRAY, len(bomb), of(bomb))
    assert refused.value.code == "file_damaged"
    most = resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * 1024
    assert most < MEMORY_BYTES


def test_a_process_that_dies_refuses_the_file() -> None:
    """And the worker goes on."""

    before = children()

    def dying(start: int, length: int) -> Iterator[bytes]:
        for child in children() - before:
            os.kill(child, signal.SIGKILL)
        return iter([bytes(length)])

    with pytest.raises(Invalid) as refused:
        inspect_apart(Kind.XRAY, 1000, dying)
    assert refused.value.code == "file_damaged"


def test_a_store_that_is_away_is_not_the_files_fault() -> None:
    """What reading raises goes through, and no process stays behind."""

    def away(start: int, length: int) -> Iterator[bytes]:
        raise Unavailable("The file store does not answer.", code="storage_unavailable")

    before = children()
    with pytest.raises(Unavailable):
        inspect_apart(Kind.XRAY, 1000, away)
    assert children() == before


def children() -> set[int]:
    """Return the processes that this thread started; a fixture's servers may be among them."""
    listed = Path(f"/proc/self/task/{get_native_id()}/children").read_text()
    return {int(child) for child in listed.split()}
