"""Who may enter which room, as Prosody is told; and that nobody else can ask."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from flask import Flask
from sqlalchemy import select, update

from app.audit.models import AuditEntry
from app.clock import utc_now
from app.participants.models import Link, Participant
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import ADMISSION, EVENTS, Prosody, Someone, invite, prosody_of
from tests.api.records import statements as noted


@pytest.fixture
def prosody(app: Flask, services: Services) -> Prosody:
    """A Prosody that knows the secret."""
    return prosody_of(app, services)


@pytest.fixture
def doctor(alice: Hospital, services: Services) -> Someone:
    """The doctor of an open session."""
    return invite(services, alice, alice.new_session(), "doctor")


@pytest.fixture
def statements(services: Services) -> Iterator[list[str]]:
    """Every SQL statement while the test runs."""
    with noted(services) as seen:
        yield seen


def audited(services: Services, action: str, **where: Any) -> list[AuditEntry]:
    """Return the refusals of one kind in the audit log, oldest first."""
    with services.database.begin() as db:
        query = select(AuditEntry).where(AuditEntry.action == action).filter_by(**where)
        return list(db.scalars(query.order_by(AuditEntry.id)))


def expire(services: Services, someone: Someone, *, state: str = "invited") -> None:
    """Let the link of somebody run out."""
    with services.database.begin() as db:
        past = utc_now() - timedelta(seconds=1)
        db.execute(update(Link).where(Link.id == UUID(someone.link_id)).values(expires_at=past))
        mine = update(Participant).where(Participant.id == UUID(someone.id))
        db.execute(mine.values(state=state))


def test_a_doctor_is_owner_and_host(prosody: Prosody, doctor: Someone) -> None:
    answer = prosody.ask(**doctor.question())

    assert answer["allow"] is True
    assert answer["participant_id"] == doctor.id
    assert answer["session_id"] == doctor.session_id
    assert (answer["role"], answer["affiliation"], answer["host"]) == ("doctor", "owner", True)
    assert answer["capacity"] == 10
    assert "moderate" in answer["permissions"]


def test_a_patient_is_member_and_no_host(
    prosody: Prosody, alice: Hospital, services: Services
) -> None:
    patient = invite(services, alice, alice.new_session(), "patient")

    answer = prosody.ask(**patient.question())

    assert (answer["affiliation"], answer["host"]) == ("member", False)


def test_the_way_of_the_allowed_is_one_statement(
    prosody: Prosody, doctor: Someone, statements: list[str]
) -> None:
    prosody.ask(**doctor.question())

    assert len(statements) == 1


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"room": "other", "token_room": "other"}, "wrong-room"),
        ({"room": "other"}, "wrong-room"),
        ({"token_room": "other"}, "wrong-room"),
        ({"participant_id": str(uuid4())}, "unknown-participant"),
        ({"participant_id": "nobody"}, "unknown-participant"),
        ({"participant_id": None}, "unknown-participant"),
        ({"link_id": str(uuid4())}, "unknown-participant"),
        ({"link_id": ""}, "unknown-participant"),
        ({"room": "x", "token_room": "x", "participant_id": str(uuid4())}, "unknown-room"),
    ],
)
def test_a_token_that_does_not_fit_is_refused_and_audited(
    prosody: Prosody, doctor: Someone, services: Services, changes: dict[str, Any], code: str
) -> None:
    token_id = str(uuid4())

    answer = prosody.ask(**doctor.question(token_id=token_id, **changes))

    assert (answer["allow"], answer["code"]) == (False, code)
    assert answer["text"].endswith(".")
    entries = [
        entry
        for entry in audited(services, "room.entry_refused")
        if entry.detail.get("token_id") == token_id
    ]
    assert [(entry.outcome, entry.detail["code"]) for entry in entries] == [("refused", code)]


def test_at_a_login_nothing_is_recorded_of_a_refusal(
    prosody: Prosody, alice: Hospital, services: Services
) -> None:
    """Nobody has tried to enter yet. The same question with the conference request is recorded."""
    session = alice.new_session(waiting_room=True)
    doctor, patient = (invite(services, alice, session, role) for role in ("doctor", "patient"))
    alice.delete(f"/sessions/{doctor.session_id}/participants/{doctor.id}")
    questions = [
        doctor.question(),
        patient.question(),
        doctor.question(participant_id=str(uuid4())),
        patient.question(room="x"),
    ]

    def told(stage: str) -> list[str]:
        asked = [{**one, "stage": stage} for one in questions]
        return [one["code"] for one in prosody.ask_together(*asked)]

    codes = ["removed", "not-admitted", "unknown-participant", "wrong-room"]
    assert told("login") == codes
    assert not audited(services, "room.entry_refused", session_id=UUID(doctor.session_id))
    assert not audited(services, "participant.waiting", session_id=UUID(doctor.session_id))
    assert told("conference") == codes
    assert audited(services, "room.entry_refused", session_id=UUID(doctor.session_id))
    assert audited(services, "participant.waiting", session_id=UUID(doctor.session_id))


def test_at_a_login_who_may_enter_is_told_so(prosody: Prosody, doctor: Someone) -> None:
    assert prosody.ask(**doctor.question(stage="login")) == prosody.ask(**doctor.question())


def test_the_room_of_another_hospital_is_refused(
    prosody: Prosody, doctor: Someone, charlie: Hospital, services: Services
) -> None:
    theirs = invite(services, charlie, charlie.new_session(), "doctor")

    answer = prosody.ask(**doctor.question(room=theirs.room, token_room=theirs.room))

    assert answer["code"] == "wrong-room"


def test_the_link_of_one_person_does_not_open_for_another(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    session = {"id": doctor.session_id, "room_name": doctor.room}
    patient = invite(services, alice, session, "patient")

    answer = prosody.ask(**doctor.question(link_id=patient.link_id))

    assert answer["code"] == "unknown-participant"


def test_who_was_removed_stays_out(prosody: Prosody, alice: Hospital, doctor: Someone) -> None:
    alice.delete(f"/sessions/{doctor.session_id}/participants/{doctor.id}")

    assert prosody.ask(**doctor.question())["code"] == "removed"


def test_a_replaced_link_makes_its_tokens_useless(
    prosody: Prosody, alice: Hospital, doctor: Someone
) -> None:
    alice.post(f"/sessions/{doctor.session_id}/participants/{doctor.id}/link")

    assert prosody.ask(**doctor.question())["code"] == "link-revoked"


def test_an_ended_session_lets_nobody_in(
    prosody: Prosody, alice: Hospital, doctor: Someone
) -> None:
    alice.post(f"/sessions/{doctor.session_id}/end")

    assert prosody.ask(**doctor.question())["code"] == "session-ended"


def test_a_cancelled_session_lets_nobody_in(
    prosody: Prosody, alice: Hospital, services: Services
) -> None:
    session = alice.new_session(planned_start=(utc_now() + timedelta(hours=1)).isoformat())
    doctor = invite(services, alice, session, "doctor")
    alice.post(f"/sessions/{session['id']}/cancel")

    assert prosody.ask(**doctor.question())["code"] == "session-cancelled"


@pytest.mark.parametrize(("minutes", "allowed"), [(14, True), (16, False)])
def test_the_door_opens_a_quarter_of_an_hour_early(
    prosody: Prosody, alice: Hospital, services: Services, minutes: int, allowed: bool
) -> None:
    planned = utc_now() + timedelta(minutes=minutes)
    session = alice.new_session(planned_start=planned.isoformat())
    doctor = invite(services, alice, session, "doctor")

    answer = prosody.ask(**doctor.question())

    assert answer["allow"] is allowed
    assert allowed or answer["code"] == "too-early"


def test_an_expired_link_lets_nobody_in_for_the_first_time(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    expire(services, doctor)

    assert prosody.ask(**doctor.question())["code"] == "link-expired"


@pytest.mark.parametrize("state", ["joined", "left"])
def test_an_expired_link_does_not_keep_out_who_was_in_the_running_call(
    prosody: Prosody, doctor: Someone, services: Services, state: str
) -> None:
    expire(services, doctor, state=state)

    assert prosody.ask(**doctor.question())["allow"] is True


@pytest.mark.parametrize(
    "broken", [{"stage": "other"}, {"room": "\u0000"}, {"room": "x" * 2000}, {"token_room": None}]
)
def test_a_question_that_cannot_be_read_is_its_own_harm(
    prosody: Prosody, doctor: Someone, broken: dict[str, Any]
) -> None:
    """Whoever writes strange names keeps nobody else out; and gets no answer."""
    good = doctor.question()
    answers = prosody.ask_together(good, doctor.question(**broken), good)
    assert [answer.get("allow") for answer in answers] == [True, None, True]


def test_each_gets_their_own_answer(
    prosody: Prosody, alice: Hospital, services: Services, doctor: Someone
) -> None:
    """In the order of the questions; who is refused is audited as if alone."""
    patient = invite(services, alice, alice.new_session())
    elsewhere = patient.question(room=doctor.room)
    answers = prosody.ask_together(patient.question(), elsewhere, doctor.question())
    assert [answer["allow"] for answer in answers] == [True, False, True]
    assert [answer.get("participant_id") for answer in answers] == [patient.id, None, doctor.id]
    [entry] = audited(services, "room.entry_refused", participant_id=UUID(patient.id))
    assert entry.detail["code"] == "wrong-room"


def test_members_of_a_newer_module_are_ignored(prosody: Prosody, doctor: Someone) -> None:
    assert prosody.ask(**doctor.question(weather="fine"))["allow"] is True


@pytest.mark.parametrize("path", [ADMISSION, EVENTS])
@pytest.mark.parametrize(
    "headers",
    [
        {"webhook-signature": "v1,AAAA"},
        {"webhook-timestamp": "1000000000"},
        {"webhook-timestamp": "soon"},
        {"webhook-id": "another"},
        {"webhook-signature": ""},
    ],
)
def test_a_wrong_signature_is_refused_and_audited(
    prosody: Prosody, services: Services, path: str, headers: dict[str, str]
) -> None:
    before = len(audited(services, "room.signature_refused", actor_kind="stranger"))

    answer = prosody.post(path, b"{}", **headers)

    assert answer.status_code == 401
    assert answer.get_json()["code"] == "room_signature_invalid"
    entries = audited(services, "room.signature_refused", actor_kind="stranger")
    assert len(entries) == before + 1
    assert entries[-1].detail == {"path": path}


@pytest.mark.parametrize("body", [b"\xff\xfe", b""])
def test_unsigned_bytes_of_any_kind_are_refused(app: Flask, body: bytes) -> None:
    answer = app.test_client().post(ADMISSION, data=body)

    assert answer.status_code == 401


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"nonsense",
        b"[]",
        b"{}",
        b'{"questions":{}}',
        b'{"events":[],"questions":[' + b"{}," * 25 + b"{}]}",
    ],
)
@pytest.mark.parametrize("path", [ADMISSION, EVENTS])
def test_a_signed_body_that_cannot_be_read_is_a_problem(
    prosody: Prosody, path: str, body: bytes
) -> None:
    answer = prosody.post(path, body)

    assert answer.status_code == 422
    assert answer.get_json()["code"] == "invalid_request"


@pytest.mark.parametrize("path", [ADMISSION, EVENTS])
def test_a_huge_body_is_refused(prosody: Prosody, path: str) -> None:
    answer = prosody.post(path, orjson.dumps({"room": "x" * 300_000}))

    assert answer.status_code == 413
