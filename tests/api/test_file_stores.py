"""One contract for every file store: a folder, and a bucket of a real server that speaks S3."""

import os
from collections.abc import Iterator
from contextlib import nullcontext
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from botocore.stub import Stubber

from app.adapters import files_local, files_s3
from app.adapters.files_local import UNFINISHED, LocalFiles
from app.adapters.files_s3 import S3Files
from app.clock import utc_now
from app.errors import NotFound, Unavailable
from app.ids import new_id
from app.localstack.ports import Ports
from app.ports import FileStore
from tests.object_store import ACCESS, BUCKET, object_store

# Three parts for S3, the last one small.
LARGE = 2 * files_s3.PART_BYTES + 1000
SECOND = timedelta(seconds=1)


@pytest.fixture(scope="module")
def s3_url(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of an object store with an empty bucket."""
    with object_store(tmp_path_factory.mktemp("s3")) as url:
        yield url


@pytest.fixture(params=["folder", "s3"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> FileStore:
    """Each kind of store."""
    if request.param == "folder":
        return LocalFiles(str(tmp_path / "not" / "there" / "yet"))
    return S3Files(bucket=BUCKET, endpoint_url=request.getfixturevalue("s3_url"), **ACCESS)


@pytest.fixture
def prefix() -> str:
    """A place in the store for one test alone."""
    return f"{new_id()}/"


def content_of(store: FileStore, key: str, **part: int) -> bytes:
    """Return what a reader gets."""
    return b"".join(store.open(key, **part))


def breaking_off(size: int) -> Iterator[bytes]:
    """Yield some bytes and then fail, as a sender does whose connection is lost."""
    yield from (bytes(1_000_000) for _ in range(size // 1_000_000))
    raise ConnectionError("the sender is gone")


def test_what_was_put_is_read_whole_or_in_part(store: FileStore, prefix: str) -> None:
    """Ranges count from 0, and what lies behind the end is left out."""
    store.put(f"{prefix}a", iter([b"0123", b"", b"456789"]))
    assert content_of(store, f"{prefix}a") == b"0123456789"
    assert content_of(store, f"{prefix}a", start=3, length=4) == b"3456"
    assert content_of(store, f"{prefix}a", start=8, length=100) == b"89"
    assert content_of(store, f"{prefix}a", start=10, length=5) == b""
    assert content_of(store, f"{prefix}a", start=4, length=0) == b""


def test_an_empty_file_is_a_file(store: FileStore, prefix: str) -> None:
    """It is not the same as none."""
    store.put(f"{prefix}empty", iter([]))
    assert content_of(store, f"{prefix}empty") == b""
    assert list(store.keys(prefix)) == [f"{prefix}empty"]


def test_a_large_file_is_put_in_parts_and_comes_back(store: FileStore, prefix: str) -> None:
    """As it was, and no piece of it is large."""
    pieces = [number.to_bytes(4, "big") * 25_000 for number in range(LARGE // 100_000 + 1)]
    whole = b"".join(pieces)[:LARGE]
    store.put(f"{prefix}large", (whole[at : at + 99_999] for at in range(0, LARGE, 99_999)))
    read = list(store.open(f"{prefix}large"))
    assert b"".join(read) == whole
    assert max(map(len, read)) <= max(files_local.PIECE_BYTES, files_s3.PIECE_BYTES)
    middle = files_s3.PART_BYTES - 10
    assert content_of(store, f"{prefix}large", start=middle, length=20) == whole[middle:][:20]


def test_a_second_put_replaces_the_first(store: FileStore, prefix: str) -> None:
    """So a job that is done twice leaves what one leaves."""
    store.put(f"{prefix}a", iter([b"first and longer"]))
    store.put(f"{prefix}a", iter([b"second"]))
    assert content_of(store, f"{prefix}a") == b"second"


@pytest.mark.parametrize("size", [1_000_000, 20_000_000])
def test_half_a_file_is_none(store: FileStore, prefix: str, size: int) -> None:
    """A sender that breaks off leaves nothing, and what was there before stays."""
    store.put(f"{prefix}old", iter([b"old"]))
    for name in ("new", "old"):
        with pytest.raises((ConnectionError, Unavailable)):
            store.put(f"{prefix}{name}", breaking_off(size))
    assert list(store.keys(prefix)) == [f"{prefix}old"]
    assert content_of(store, f"{prefix}old") == b"old"


def test_what_was_deleted_is_gone(store: FileStore, prefix: str) -> None:
    """And deleting it again is fine."""
    store.put(f"{prefix}a", iter([b"x"]))
    store.delete(f"{prefix}a")
    store.delete(f"{prefix}a")
    with pytest.raises(NotFound):
        content_of(store, f"{prefix}a")


def test_a_bucket_that_misses_what_is_deleted() -> None:
    """S3 has nothing against deleting nothing; Google's and others answer 404. That the bucket
    itself is not there is something else."""
    store = S3Files(bucket=BUCKET, endpoint_url="http://127.0.0.1:9", **ACCESS)
    for code, is_well in (("NoSuchKey", True), ("404", True), ("NoSuchBucket", False)):
        with Stubber(store.client) as stub:
            stub.add_client_error("delete_object", code, http_status_code=404)
            with nullcontext() if is_well else pytest.raises(Unavailable):
                store.delete("a")


def test_keys_are_listed_by_their_beginning(store: FileStore, prefix: str) -> None:
    """In order."""
    for name in ("b/2", "a/1", "b/1"):
        store.put(f"{prefix}{name}", iter([b"x"]))
    assert list(store.keys(f"{prefix}b/")) == [f"{prefix}b/1", f"{prefix}b/2"]
    assert list(store.keys(prefix)) == [f"{prefix}a/1", f"{prefix}b/1", f"{prefix}b/2"]


@pytest.mark.parametrize("key", ["../up", "/etc/passwd", "a/../b", "a//b", ".hidden", "", "a\0b"])
def test_a_folder_is_never_left(tmp_path: Path, key: str) -> None:
    """A key is made by us, and is looked at all the same."""
    with pytest.raises(ValueError, match="no key"):
        LocalFiles(str(tmp_path)).put(key, iter([b"x"]))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == []


def test_a_folder_follows_no_link_that_somebody_laid_there(tmp_path: Path) -> None:
    """It is not ours."""
    (tmp_path / "secret").write_text("not yours")
    (tmp_path / "files").mkdir()
    (tmp_path / "files" / "a").symlink_to(tmp_path / "secret")
    with pytest.raises(Unavailable):
        LocalFiles(str(tmp_path / "files")).open("a")


def test_what_a_dead_process_began_in_a_folder_is_removed(tmp_path: Path) -> None:
    """Once it is old; somebody may be writing what is young."""
    begun = tmp_path / UNFINISHED
    begun.mkdir()
    (begun / "old").write_bytes(b"half")
    (begun / "young").write_bytes(b"half")
    os.utime(begun / "old", (0, 0))
    LocalFiles(str(tmp_path)).forget_unfinished(before=utc_now() - SECOND)
    assert [path.name for path in begun.iterdir()] == ["young"]


def test_what_a_dead_process_began_in_a_bucket_is_taken_back(s3_url: str) -> None:
    """The parts of an upload that nobody will finish cost money and hold ciphertext."""
    store = S3Files(bucket=BUCKET, endpoint_url=s3_url, **ACCESS)
    for key in (f"{new_id()}/{new_id()}", f"nobody/{new_id()}", "of/another/program"):
        store.client.create_multipart_upload(Bucket=BUCKET, Key=key)
    # This server says of every upload that it began in 2010.
    store.forget_unfinished(before=datetime(2010, 1, 1, tzinfo=UTC))
    assert len(store.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])) == 3
    store.forget_unfinished(before=utc_now())
    left = store.client.list_multipart_uploads(Bucket=BUCKET).get("Uploads", [])
    assert [upload["Key"] for upload in left] == ["of/another/program"]


def test_a_store_that_does_not_answer_says_so(tmp_path: Path) -> None:
    """In our words, so that whoever asked knows that trying again helps."""
    nobody = f"http://127.0.0.1:{Ports().choose()}"
    (tmp_path / "file").write_text("no folder")
    silent: list[FileStore] = [
        S3Files(bucket=BUCKET, endpoint_url=nobody, **ACCESS),
        LocalFiles(str(tmp_path / "file")),
    ]
    for store in silent:
        with pytest.raises(Unavailable) as refusal:
            store.put("a", iter([b"x"]))
        assert refusal.value.code == "storage_unavailable"
