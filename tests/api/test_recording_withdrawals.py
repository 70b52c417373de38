"""A withdrawal is never overlooked: neither by who decides about a file, nor when two things happen
at once. Orders are forced here by the lock of the session."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy.orm import Session

from app.audit.service import SERVICE
from app.clock import utc_now
from app.consents import service as consents
from app.consents.texts import RECORDING
from app.localstack.supervisor import LocalStack
from app.recording_files import processing, service
from app.recording_files.processing import Facts
from app.storage.service import announce
from tests.api.left import put
from tests.api.locking import until_waited_for
from tests.api.problems import problem
from tests.api.prosody import Someone
from tests.api.recorded import shown
from tests.api.records import alter, audit_of, types_of
from tests.api.test_recording_release import WHY, done, known
from tests.api.test_recordings import TEXT, Call

FACTS = Facts("video/mp4", 1000, 320, 180, "h264", "aac")
WITHHELD = """
    UPDATE teleconference.recording_files SET state = 'withheld', reason = 'stranger',
        findings = '["stranger"]' WHERE id = :id"""


@pytest.fixture
def stranger(call: Call) -> str:
    """A file that is withheld because the recorder saw somebody unknown; its id."""
    file_id = done(call)
    alter(call.services, WITHHELD, id=file_id)
    return file_id


def release(call: Call, file_id: str, **headers: str) -> Any:
    """Let a file be seen."""
    path = f"/recordings/{call.recordings[0]['id']}/files/{file_id}/release"
    return call.hospital.post(path, json=WHY, headers=headers)


def withdraw(db: Session, call: Call, person: Someone) -> None:
    """Take consent back in a transaction of this test's."""
    consents.answer(
        db,
        organisation_id=UUID(str(call.hospital.organisation_id)),
        session_id=UUID(call.session["id"]),
        participant_id=UUID(person.id),
        purpose=RECORDING,
        act="withdrawn",
        text_sha256=TEXT.sha256,
        channel="api",
        actor=SERVICE,
        now=utc_now(),
    )


def in_order(
    call: Call, postgres: LocalStack, first: Callable[[Session], Any], second: Callable[[], Any]
) -> Any:
    """Let `second` begin and wait for the session while `first` happens; return its result."""
    recording_id = UUID(call.recordings[0]["id"])
    with ThreadPoolExecutor(1) as pool, call.services.database.begin() as db:
        service.lock_recording(db, recording_id)
        waits = pool.submit(second)
        until_waited_for(db, postgres)
        first(db)
        db.commit()
        return waits.result()


class TestWhoDecides:
    """They say what they knew."""

    def test_a_withdrawal_comes_to_what_is_withheld_already(
        self, call: Call, stranger: str
    ) -> None:
        """It is told of, and whoever read of the stranger alone releases nothing."""
        before = known(call)
        call.say(call.patient, "withdrawn")
        file = shown(call)
        assert (file["state"], file["reason"]) == ("withheld", "consent_withdrawn")
        assert file["findings"] == ["stranger", "consent_withdrawn"]
        assert types_of(call.services, call.session["id"])[-1] == "recording.file_withheld"
        (entry,) = [
            one
            for one in audit_of(call.services, call.hospital.organisation_id)
            if one.action == "recording.file_withheld"
        ]
        assert entry.detail["findings"] == ["stranger", "consent_withdrawn"]
        problem(release(call, stranger), 409, "recording_withdrawn")
        problem(release(call, stranger, **before), 412, "version_outdated")
        assert shown(call)["state"] == "withheld"
        answer = release(call, stranger, **known(call))
        assert answer.status_code == 200, answer.text
        assert answer.headers["ETag"] == known(call)["If-Match"]

    def test_a_second_persons_withdrawal_is_something_new(self, call: Call, stranger: str) -> None:
        """Although the finding is the same."""
        call.say(call.patient, "withdrawn")
        before = known(call)
        call.say(call.patient, "withdrawn")
        assert known(call) == before
        call.say(call.doctor, "withdrawn")
        problem(release(call, stranger, **before), 412, "version_outdated")
        assert release(call, stranger, **known(call)).status_code == 200

    def test_without_a_withdrawal_nobody_has_to_say_it(self, call: Call, stranger: str) -> None:
        """Nothing is found while a file is withheld but that."""
        assert release(call, stranger).status_code == 200

    def test_what_they_say_is_read_as_everywhere(self, call: Call, stranger: str) -> None:
        problem(release(call, stranger, **{"If-Match": "*"}), 422, "etag_invalid", "If-Match")


class TestTwoAtOnce:
    """Who has the session first, whatever the clocks say."""

    def test_a_release_waits_for_a_withdrawal(
        self, call: Call, stranger: str, postgres: LocalStack
    ) -> None:
        """It was decided before."""
        headers = known(call)
        answer = in_order(
            call,
            postgres,
            lambda db: withdraw(db, call, call.patient),
            lambda: release(call, stranger, **headers),
        )
        problem(answer, 412, "version_outdated")
        assert shown(call)["state"] == "withheld"

    def test_a_withdrawal_waits_for_a_release(
        self, call: Call, stranger: str, postgres: LocalStack
    ) -> None:
        """Which answered for another person's, and came later by the clock."""
        call.say(call.patient, "withdrawn")

        def let_it_be_seen(db: Session) -> None:
            recording = service.lock_recording(db, UUID(call.recordings[0]["id"]))
            service.release(
                db,
                organisation_id=recording.organisation_id,
                recording_id=recording.id,
                file_id=UUID(stranger),
                version=recording.version,
                why="They agreed again.",
                actor=SERVICE,
                now=utc_now(),
            )

        say = lambda: call.say(call.doctor, "withdrawn")  # noqa: E731
        in_order(call, postgres, let_it_be_seen, say)
        assert shown(call)["state"] == "withheld"

    @pytest.mark.parametrize("waits", ["withdrawal", "worker"])
    def test_a_withdrawal_and_a_worker_that_has_finished(
        self, call: Call, postgres: LocalStack, waits: str
    ) -> None:
        """Of a withdrawal that has waited the worker knew nothing."""
        finish = worker(call)

        def alone() -> None:
            with call.services.database.begin() as db:
                finish(db)

        if waits == "worker":
            in_order(call, postgres, lambda db: withdraw(db, call, call.patient), alone)
        else:
            in_order(call, postgres, finish, lambda: call.say(call.patient, "withdrawn"))
        assert (shown(call)["state"], shown(call)["findings"]) == (
            "withheld",
            ["consent_withdrawn"],
        )
        assert call.stands == ("available", "withheld")

    def test_what_was_overlooked_is_withheld_when_it_is_said_again(self, call: Call) -> None:
        """A file that was never released against a withdrawal has not heard of it."""
        file_id = done(call)
        call.say(call.patient, "withdrawn")
        overlooked = "state = 'available', reason = NULL, findings = '[]', ready_at = now()"
        alter(
            call.services,
            f"UPDATE teleconference.recording_files SET {overlooked} WHERE id = :id",
            id=file_id,
        )
        call.say(call.patient, "withdrawn")
        assert shown(call)["state"] == "withheld"


def worker(call: Call) -> Callable[[Session], None]:
    """Return the end of a worker's work on a file."""
    recording = call.recordings[0]["id"]
    file = put(call.services, recording, state="processing", due_at=utc_now())
    with call.services.database.begin() as db:
        stored = announce(db, organisation_id=file.organisation_id, now=utc_now())
        claimed = processing.claim(db, file.id, lease_s=600, now=utc_now())
    assert claimed is not None
    alter(
        call.services,
        "UPDATE teleconference.recording_files SET content_id = :stored WHERE id = :id",
        id=file.id,
        stored=stored.id,
    )

    def finish(db: Session) -> None:
        processing.finish(db, claimed, FACTS, playable=None, poster=None, now=utc_now())

    return finish
