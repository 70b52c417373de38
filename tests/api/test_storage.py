"""Files at rest: encrypted each by a key of its own, and gone for good without it."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from cryptography.fernet import Fernet
from structlog.testing import capture_logs

from app.adapters.files_local import LocalFiles
from app.clock import utc_now
from app.encryption import Vault
from app.errors import Gone, Unavailable
from app.reencrypt import reencrypt
from app.services import Services
from app.storage import service, sweep
from app.storage.models import StoredFile
from app.storage.service import Storage
from tests.api.hospital import Hospital
from tests.api.records import alter

CONTENT = b"The quick brown fox of the X-ray department. " * 5000
DAY = timedelta(days=1)
CHANGE = "UPDATE teleconference.stored_files SET"


@pytest.fixture
def here(services: Services, tmp_path: Path) -> Services:
    """The service with a file store of this test's own."""
    return replace(services, storage=Storage(LocalFiles(str(tmp_path)), services.vault))


def announced(here: Services, owner: Hospital, *, now: datetime | None = None) -> StoredFile:
    """Return the row of a file that is not written yet."""
    with here.database.begin() as db:
        return service.announce(db, organisation_id=owner.organisation_id, now=now or utc_now())


def stored(here: Services, owner: Hospital, content: bytes = CONTENT) -> StoredFile:
    """Return a file that was written as jobs and requests do it."""
    row = announced(here, owner)
    written = here.storage.write(row, [content[:1000], content[1000:]])
    with here.database.begin() as db:
        service.record(db, row.id, written)
    return current(here, row)


def current(here: Services, row: StoredFile) -> StoredFile:
    """Return the row as it is now."""
    with here.database.begin() as db:
        return db.get_one(StoredFile, row.id)


def content_of(here: Services, row: StoredFile, **part: int) -> bytes:
    """Return what a reader gets."""
    return b"".join(here.storage.read(row, **part))


def erase(here: Services, *, now: datetime) -> None:
    """Do what workers do every few seconds."""
    sweep.sweep(here.database, here.storage.store, now=now)


def lying(folder: Path) -> Iterator[Path]:
    """Return the files in the store's folder."""
    return (path for path in folder.rglob("*") if path.is_file())


def test_a_file_is_encrypted_and_comes_back(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """Nothing of it is readable in the store; any part of it is for whoever has row and key."""
    row = stored(here, alice)
    assert content_of(here, row) == CONTENT
    assert content_of(here, row, start=70_000, length=99) == CONTENT[70_000:70_099]
    (path,) = lying(tmp_path)
    assert b"X-ray" not in path.read_bytes()
    assert row.size_bytes == len(CONTENT)


def test_the_same_content_twice_has_two_keys(here: Services, alice: Hospital) -> None:
    """Nobody sees that two people were given the same leaflet."""
    one, other = stored(here, alice), stored(here, alice)
    assert b"".join(here.storage.store.open(one.key)) != b"".join(
        here.storage.store.open(other.key)
    )


def test_two_files_that_changed_places_are_found(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """Whoever has the store cannot give one patient another's picture."""
    one, other = stored(here, alice), stored(here, alice, b"another")
    (tmp_path / one.key).replace(tmp_path / other.key)
    with pytest.raises(Unavailable) as refusal:
        content_of(here, other)
    assert refusal.value.code == "stored_file_damaged"


def test_a_destroyed_file_is_unreadable_at_once_and_erased_after(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """Its key is gone before its bytes are; another's file stays."""
    row, kept = stored(here, alice), stored(here, alice, b"kept")
    with here.database.begin() as db:
        service.destroy(db, row.id, now=utc_now())
    with pytest.raises(Gone):
        content_of(here, current(here, row))
    assert len(list(lying(tmp_path))) == 2
    erase(here, now=utc_now())
    assert [path.relative_to(tmp_path).as_posix() for path in lying(tmp_path)] == [kept.key]
    assert current(here, row).erased_at is not None
    assert content_of(here, kept) == b"kept"
    assert (current(here, row).sha256, current(here, row).size_bytes) == (None, None)


def test_what_a_dead_process_wrote_is_erased_after_a_day(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """And not before: it may still be writing."""
    now = utc_now()
    row = announced(here, alice, now=now)
    written = here.storage.write(row, [CONTENT])
    erase(here, now=now + DAY)
    assert len(list(lying(tmp_path))) == 1
    erase(here, now=now + DAY + timedelta(seconds=1))
    assert list(lying(tmp_path)) == []
    with here.database.begin() as db, pytest.raises(Gone):
        service.record(db, row.id, written)


def test_what_was_destroyed_while_it_was_written_stays_destroyed(
    here: Services, alice: Hospital
) -> None:
    """The key of the late writer goes nowhere."""
    row = announced(here, alice)
    with here.database.begin() as db:
        service.destroy(db, row.id, now=utc_now())
    written = here.storage.write(row, [CONTENT])
    with here.database.begin() as db, pytest.raises(Gone):
        service.record(db, row.id, written)
    assert current(here, row).wrapped_key is None


def test_a_store_that_is_away_loses_no_deletion(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """It is told again when it is back."""
    row = stored(here, alice)
    with here.database.begin() as db:
        service.destroy(db, row.id, now=utc_now())
    (tmp_path / "file").write_text("no folder")
    away = replace(here.storage, store=LocalFiles(str(tmp_path / "file")))
    erase(replace(here, storage=away), now=utc_now())
    assert current(here, row).erased_at is None
    erase(here, now=utc_now())
    assert current(here, row).erased_at is not None


class Stubborn(LocalFiles):
    """A store that keeps some files for ever: most of them with a refusal, one with a fault."""

    def __init__(self, folder: str, *, kept: list[str]) -> None:
        super().__init__(folder)
        self._kept = kept

    def delete(self, key: str) -> None:
        if key == self._kept[0]:
            raise RuntimeError(key)
        if key in self._kept:
            raise Unavailable("This one is locked.", code="storage_unavailable")
        super().delete(key)


def test_what_cannot_be_erased_keeps_nothing_behind_it(
    here: Services, alice: Hospital, tmp_path: Path
) -> None:
    """Not even when there is more of it than is looked at together. It is tried again."""
    now = utc_now()
    with here.database.begin() as db:
        owner, before = alice.organisation_id, now - DAY
        stuck = [
            service.announce(db, organisation_id=owner, now=before) for _ in range(sweep.BATCH + 1)
        ]
        for one in stuck:
            service.destroy(db, one.id, now=now)
    good = stored(here, alice)
    with here.database.begin() as db:
        service.destroy(db, good.id, now=now)
    stubborn = Stubborn(str(tmp_path), kept=[one.key for one in stuck])
    with capture_logs() as logs:
        erase(replace(here, storage=replace(here.storage, store=stubborn)), now=now)
    assert current(here, good).erased_at is not None
    assert list(lying(tmp_path)) == []
    assert {current(here, one).erased_at for one in stuck} == {None}
    told = {line["stored_file"]: line for line in logs if line["event"] == "file_not_erased"}
    assert set(told) == {str(one.id) for one in stuck}
    assert told[str(stuck[0].id)]["kind"] == "RuntimeError"
    erase(here, now=now)
    assert None not in {current(here, one).erased_at for one in stuck}


def test_a_new_master_key_takes_all_files_along(here: Services, alice: Hospital) -> None:
    """`teleconsult keys reencrypt` wraps the keys anew and touches no file; then the old master
    key can go."""
    row = stored(here, alice)
    new = Fernet.generate_key().decode()
    both, alone = Vault([new, *here.settings.master_keys]), Vault([new])
    with here.database.begin() as db:
        assert reencrypt(db, both, now=utc_now()) >= 1
        again = db.get_one(StoredFile, row.id)
        assert b"".join(replace(here.storage, vault=alone).read(again)) == CONTENT
        db.rollback()  # the other tests' secrets stay as they are


def test_the_files_row_of_another_hospital_is_not_there(
    here: Services, alice: Hospital, charlie: Hospital
) -> None:
    """Row-level security stands behind every lookup."""
    row = stored(here, alice)
    with here.database.begin(charlie.organisation_id) as db:
        assert db.get(StoredFile, row.id) is None
    with here.database.begin(alice.organisation_id) as db:
        assert db.get(StoredFile, row.id) is not None


def test_a_row_whose_size_was_changed_opens_nothing_false(here: Services, alice: Hospital) -> None:
    """The end of a file is part of what was encrypted."""
    row = stored(here, alice)
    alter(here, f"{CHANGE} size_bytes = 65536 WHERE id = :id", id=row.id)
    with pytest.raises(Unavailable):
        content_of(here, current(here, row))
