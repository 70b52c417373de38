"""Checking files: by a scanner that may be away, and by workers that may die."""

from collections.abc import Iterable
from datetime import timedelta
from typing import Any

import pytest

from app.adapters.files_local import LocalFiles
from app.adapters.scanner_clamd import Clamd
from app.clock import utc_now
from app.errors import Conflict, Unavailable
from app.files import checking, service
from app.files.models import SessionFile
from app.participants.seats import seat_by_code
from app.storage.service import Storage
from tests.api import samples
from tests.api.filed import CHANGE, keys_of, row_of
from tests.api.filing import NO_SCANNER, Filing
from tests.api.problems import problem
from tests.api.records import alter, code_of, types_of

DAY = timedelta(days=1)


class BreaksDown(LocalFiles):
    """A store that takes one file more."""

    has_taken = False

    def put(self, key: str, content: Iterable[bytes]) -> None:
        """Take the content of a file, and not its preview."""
        if self.has_taken:
            raise Unavailable("The file store does not answer.", code="storage_unavailable")
        super().put(key, content)
        self.has_taken = True


class Faulty(Clamd):
    """A scanner with a fault of ours."""

    def scan(self, content: Iterable[bytes]) -> str:
        """Fail as nobody thought of."""
        raise RuntimeError("nobody thought of it")


def try_again(filing: Filing, file_id: str, **parts: Any) -> None:
    """Have a file checked that waits for its next try."""
    alter(filing.services, f"{CHANGE} due_at = now() WHERE id = :id", id=file_id)
    filing.check(file_id, **parts)


class TestInterrupted:
    """A check that does not reach its end."""

    def test_a_copy_that_no_file_refers_to_has_no_key(self, filing: Filing) -> None:
        """The store went away between the content and its preview; deleting finds all there is."""
        photo = samples.jpeg(400, 300)
        announced = filing.announce("image", photo).get_json()
        filing.send(announced, photo)
        storage = filing.services.storage
        half = Storage(BreaksDown(str(filing.folder)), storage.vault)
        filing.check(announced["id"], storage=half)
        assert filing.read(announced["id"])["reason"] == "storage_unavailable"
        assert len(keys_of(filing)) == 1  # what was sent
        try_again(filing, announced["id"])
        assert len(keys_of(filing)) == 2
        filing.hospital.delete(f"{filing.files}/{announced['id']}")
        assert keys_of(filing) == []

    def test_a_fault_of_ours_is_not_repeated_for_ever(self, filing: Filing) -> None:
        """After a few tries the sender is told to send it again."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        for _ in range(checking.MOST_TRIES):
            try_again(filing, announced["id"], scanner=Faulty("127.0.0.1:9"))
            waiting = filing.read(announced["id"])
            assert (waiting["state"], waiting["reason"]) == ("scanning", "internal_error")
        try_again(filing, announced["id"], scanner=Faulty("127.0.0.1:9"))
        given_up = filing.read(announced["id"])
        assert (given_up["state"], given_up["reason"]) == ("refused", "file_damaged")
        assert keys_of(filing) == []

    def test_bytes_that_the_store_lost_are_not_waited_for(self, filing: Filing) -> None:
        """But a scanner that is away is, however long."""
        lost, waiting = (filing.announce("report", samples.pdf()).get_json() for _ in range(2))
        filing.send(lost, samples.pdf())
        store = filing.services.storage.store
        for key in list(store.keys(str(filing.hospital.organisation_id))):
            store.delete(key)
        filing.send(waiting, samples.pdf())
        for _ in range(checking.MOST_TRIES + 2):
            try_again(filing, lost["id"])
            try_again(filing, waiting["id"], scanner=NO_SCANNER)
        assert filing.read(lost["id"])["reason"] == "file_damaged"
        assert filing.read(waiting["id"])["state"] == "scanning"
        try_again(filing, waiting["id"])
        assert filing.read(waiting["id"])["state"] == "available"

    def test_a_fault_of_ours_after_an_outage_is_the_first(self, filing: Filing) -> None:
        """However often the file was tried in vain before: it is there and good."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        for _ in range(checking.MOST_TRIES + 2):
            try_again(filing, announced["id"], scanner=NO_SCANNER)
        for _ in range(checking.MOST_TRIES - 1):
            try_again(filing, announced["id"], scanner=Faulty("127.0.0.1:9"))
        assert filing.read(announced["id"])["state"] == "scanning"
        try_again(filing, announced["id"])
        assert filing.read(announced["id"])["state"] == "available"

    def test_a_file_that_kills_workers_after_an_outage_is_given_up(self, filing: Filing) -> None:
        """Whoever claims it is not heard of again; what it waited for before does not matter."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        try_again(filing, announced["id"], scanner=NO_SCANNER)
        file_id = row_of(filing, announced["id"]).id
        for _ in range(checking.MOST_TRIES):
            with filing.services.database.begin() as db:
                assert checking.claim(db, file_id, lease=-DAY, now=utc_now() + DAY) is not None
        assert filing.read(announced["id"])["reason"] == "scanner_unavailable"
        try_again(filing, announced["id"])
        assert filing.read(announced["id"])["reason"] == "file_damaged"

    def test_deleting_sees_a_check_that_has_just_ended(self, filing: Filing) -> None:
        """The row was read before; the keys that the check made are destroyed all the same."""
        patient = filing.person("patient")
        announced = patient.announce("image", samples.jpeg()).get_json()
        filing.send(announced, samples.jpeg())
        with filing.services.database.begin() as db:
            seat = seat_by_code(db, code_of(patient.row))
            assert seat is not None
            before = db.get_one(SessionFile, announced["id"])
            filing.check(announced["id"])
            service.delete_from_seat(db, seat, file_id=before.id, now=utc_now())
        assert keys_of(filing) == []

    def test_a_prescription_that_has_just_come_stays(self, filing: Filing) -> None:
        """Though it was on its way when its author began to take it back."""
        doctor = filing.person("doctor")
        announced = doctor.announce("prescription", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        with filing.services.database.begin() as db:
            seat = seat_by_code(db, code_of(doctor.row))
            assert seat is not None
            before = db.get_one(SessionFile, announced["id"])
            filing.check(announced["id"])
            with pytest.raises(Conflict, match="not taken back"):
                service.delete_from_seat(db, seat, file_id=before.id, now=utc_now())


class TestScanner:
    """Nothing that was not looked at is ever served."""

    def test_a_file_waits_for_a_scanner_that_is_down(self, filing: Filing) -> None:
        """It says so, and is checked when the scanner is back."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        filing.check(announced["id"], scanner=NO_SCANNER)
        waiting = filing.read(announced["id"])
        assert (waiting["state"], waiting["reason"]) == ("scanning", "scanner_unavailable")
        problem(filing.link(announced["id"]), 409, "file_scanning", "state")
        filing.check(announced["id"])  # not due yet: nobody hurries a scanner that is down
        assert filing.read(announced["id"])["state"] == "scanning"
        due = row_of(filing, announced["id"]).due_at
        assert due is not None
        with filing.services.database.begin() as db:
            assert row_of(filing, announced["id"]).id in checking.due(db, limit=1000, now=due)
        alter(filing.services, f"{CHANGE} due_at = now() WHERE id = :id", id=announced["id"])
        filing.check(announced["id"])
        there = filing.read(announced["id"])
        assert (there["state"], there["reason"]) == ("available", None)

    def test_malware_is_kept_where_nobody_gets_it(self, filing: Filing) -> None:
        """Not even with a link, until somebody deletes it."""
        patient = filing.person("patient")
        file = patient.share("document", samples.eicar(samples.pdf()))
        assert (file["state"], file["reason"]) == ("quarantined", "file_infected")
        assert row_of(filing, file["id"]).finding == "Teleconsult.Eicar.Test.UNOFFICIAL"
        problem(filing.link(file["id"]), 409, "file_quarantined", "state")
        assert types_of(filing.services, filing.session["id"])[-1] == "file.quarantined"
        assert file["id"] not in filing.person("doctor").sees()
        assert filing.hospital.delete(f"{filing.files}/{file['id']}").status_code == 200

    def test_a_file_is_checked_by_one_worker(self, filing: Filing) -> None:
        """A second one finds nothing to do; a third takes over when the first died."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, samples.pdf())
        file, now = row_of(filing, announced["id"]), utc_now()
        lease = timedelta(seconds=60)
        with filing.services.database.begin() as db:
            assert checking.claim(db, file.id, lease=lease, now=now) is not None
        with filing.services.database.begin() as db:
            assert checking.claim(db, file.id, lease=lease, now=now) is None
            assert checking.claim(db, file.id, lease=lease, now=now + 2 * lease) is not None

    def test_a_worker_that_was_too_slow_changes_nothing(self, filing: Filing) -> None:
        """Somebody else has the file by then."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, b"not a pdf".ljust(len(samples.pdf())))
        with filing.services.database.begin() as db:
            slow = checking.claim(db, row_of(filing, announced["id"]).id, lease=-DAY, now=utc_now())
        filing.check(announced["id"])
        assert slow is not None
        with filing.services.database.begin() as db:
            checking.quarantine(db, slow, finding="late", now=utc_now())
        assert filing.read(announced["id"])["state"] == "refused"
