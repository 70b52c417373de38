"""What Prosody tells becomes attendance, states, events and audit entries, once."""

import time
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from sqlalchemy import select

from app.audit.models import AuditEntry
from app.clock import utc_now
from app.events.models import Event
from app.participants.models import Attendance, Participant
from app.services import Services
from app.sessions.models import CareSession
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, Someone, invite, prosody_of


@pytest.fixture
def prosody(app: Flask, services: Services) -> Prosody:
    """A run of Prosody."""
    return prosody_of(app, services)


@pytest.fixture
def doctor(alice: Hospital, services: Services) -> Someone:
    """The doctor of an open session."""
    return invite(services, alice, alice.new_session(), "doctor")


@pytest.fixture
def patient(alice: Hospital, services: Services, doctor: Someone) -> Someone:
    """The patient of the doctor's session."""
    session = {"id": doctor.session_id, "room_name": doctor.room}
    return invite(services, alice, session, "patient")


def stays(services: Services, someone: Someone) -> list[Attendance]:
    """Return the attendance of one person, oldest first."""
    with services.database.begin() as db:
        mine = select(Attendance).where(Attendance.participant_id == UUID(someone.id))
        return list(db.scalars(mine.order_by(Attendance.joined_at)))


def state(services: Services, someone: Someone) -> str:
    """Return a participant's state."""
    with services.database.begin() as db:
        return db.get_one(Participant, UUID(someone.id)).state


def told(services: Services, someone: Someone) -> list[tuple[str, str]]:
    """Return what the outbox says of one person's presence: type, and reason or code."""
    with services.database.begin() as db:
        mine = select(Event).where(Event.session_id == UUID(someone.session_id))
        return [
            (event.type, event.data.get("reason") or event.data.get("code") or "")
            for event in db.scalars(mine.order_by(Event.sequence))
            if event.data.get("participant_id") == someone.id
            and event.type not in ("participant.invited", "participant.removed")
        ]


def audited(services: Services, someone: Someone) -> list[str]:
    """Return the audited acts of the room about one person."""
    with services.database.begin() as db:
        mine = select(AuditEntry).where(AuditEntry.participant_id == UUID(someone.id))
        entries = db.scalars(mine.order_by(AuditEntry.id)).all()
    return [entry.action for entry in entries if entry.actor_kind == "room"]


def test_a_join_and_a_leave(prosody: Prosody, doctor: Someone, services: Services) -> None:
    joined_at = time.time() - 60

    prosody.tell(doctor.joined(at=joined_at))
    assert state(services, doctor) == "joined"
    prosody.tell(doctor.left())

    assert state(services, doctor) == "left"
    [stay] = stays(services, doctor)
    assert stay.joined_at.timestamp() == pytest.approx(joined_at, abs=0.001)
    assert stay.left_at is not None
    assert stay.left_at > stay.joined_at
    assert (stay.leave_reason, stay.is_host, stay.source) == ("left", True, prosody.source)
    assert told(services, doctor) == [("participant.joined", ""), ("participant.left", "left")]
    assert audited(services, doctor) == ["participant.joined", "participant.left"]


def test_events_say_who_without_a_name(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined())

    with services.database.begin() as db:
        [event] = db.scalars(select(Event).where(Event.type == "participant.joined").filter_by(
            session_id=UUID(doctor.session_id)))  # fmt: skip
    assert event.data == {
        "session_id": doctor.session_id,
        "participant_id": doctor.id,
        "role": "doctor",
        "participant_reference": None,
    }


def test_a_repeat_changes_nothing(prosody: Prosody, doctor: Someone, services: Services) -> None:
    batch = [doctor.joined(), doctor.left(), doctor.joined()]
    assert prosody.tell(*batch) == 3

    assert prosody.tell(*batch) == 3

    assert len(stays(services, doctor)) == 2
    assert [type_ for type_, _ in told(services, doctor)] == [
        "participant.joined",
        "participant.left",
        "participant.joined",
    ]
    assert state(services, doctor) == "joined"


def test_a_whole_stay_in_one_batch(prosody: Prosody, doctor: Someone, services: Services) -> None:
    prosody.tell(doctor.joined(), doctor.left("disconnected"))

    [stay] = stays(services, doctor)
    assert stay.leave_reason == "disconnected"
    assert state(services, doctor) == "left"


def test_several_people_in_one_batch_are_numbered_in_order(
    prosody: Prosody, doctor: Someone, patient: Someone, services: Services
) -> None:
    prosody.tell(
        doctor.joined(),
        patient.joined(),
        patient.left(),
        doctor.left(),
    )
    with services.database.begin() as db:
        mine = select(Event).where(Event.session_id == UUID(doctor.session_id))
        rows = [
            (event.sequence, event.type, event.data["participant_id"])
            for event in db.scalars(mine.order_by(Event.sequence))
            if event.type in ("participant.joined", "participant.left")
        ]
    assert [row[1:] for row in rows] == [
        ("participant.joined", doctor.id),
        ("participant.joined", patient.id),
        ("participant.left", patient.id),
        ("participant.left", doctor.id),
    ]
    first = rows[0][0]
    assert [row[0] for row in rows] == list(range(first, first + len(rows)))
    for someone in (doctor, patient):
        assert audited(services, someone) == ["participant.joined", "participant.left"]


def test_two_connections_are_one_presence(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(), doctor.joined(connection="c2"), doctor.left("replaced"))

    assert state(services, doctor) == "joined"
    assert told(services, doctor) == [("participant.joined", "")]
    prosody.tell(doctor.left(connection="c2"))
    assert told(services, doctor)[-1] == ("participant.left", "left")


def test_a_second_join_of_the_same_connection_is_the_same_stay(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined())
    prosody.tell(doctor.joined())

    assert len(stays(services, doctor)) == 1
    assert told(services, doctor) == [("participant.joined", "")]


def test_nobody_leaves_before_coming(prosody: Prosody, doctor: Someone, services: Services) -> None:
    prosody.tell(doctor.joined(at=2_000_000.5), doctor.left(at=1_999_999.0))

    [stay] = stays(services, doctor)
    assert stay.left_at == stay.joined_at


def test_a_leave_without_a_join_is_passed_over(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    assert prosody.tell(doctor.left()) == 1

    assert state(services, doctor) == "invited"
    assert told(services, doctor) == []


def test_a_host_opens_a_planned_session(
    prosody: Prosody, alice: Hospital, services: Services
) -> None:
    session = alice.new_session(planned_start=utc_now().isoformat())
    patient = invite(services, alice, session, "patient")
    doctor = invite(services, alice, session, "doctor")

    prosody.tell(patient.joined())
    with services.database.begin() as db:
        assert db.get_one(CareSession, UUID(session["id"])).state == "scheduled"
    prosody.tell(doctor.joined())

    with services.database.begin() as db:
        assert db.get_one(CareSession, UUID(session["id"])).state == "active"
        query = select(Event).where(Event.session_id == UUID(session["id"]))
        types = [event.type for event in db.scalars(query.order_by(Event.sequence))]
    assert types[-2:] == ["session.started", "participant.joined"]


def test_who_was_removed_stays_removed_whatever_is_told_later(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined())
    alice.delete(f"/sessions/{doctor.session_id}/participants/{doctor.id}")

    prosody.tell(doctor.left("kicked"), doctor.joined(connection="late"))

    assert state(services, doctor) == "removed"
    assert ("participant.left", "kicked") in told(services, doctor)


def test_a_destroyed_room_closes_what_is_left(
    prosody: Prosody, doctor: Someone, patient: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(), patient.joined())

    prosody.tell(doctor.event("room.destroyed", participant_id=None))

    assert [stay.leave_reason for stay in stays(services, doctor)] == ["ended"]
    assert state(services, patient) == "left"
    assert told(services, patient)[-1] == ("participant.left", "ended")


def test_a_new_run_closes_what_former_runs_left_open(
    prosody: Prosody, doctor: Someone, patient: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(), source="former run")
    prosody.tell(patient.joined())

    prosody.tell({"id": str(uuid4()), "type": "server.started", "at": time.time()})

    assert state(services, doctor) == "left"
    assert told(services, doctor)[-1] == ("participant.left", "disconnected")
    assert state(services, patient) == "joined"


def test_a_refusal_in_the_room_is_told_and_audited(
    prosody: Prosody, doctor: Someone, patient: Someone, services: Services
) -> None:
    prosody.tell(patient.event("participant.refused", code="waiting-for-host"))

    assert told(services, patient) == [("participant.refused", "waiting-for-host")]
    with services.database.begin() as db:
        mine = select(AuditEntry).where(AuditEntry.participant_id == UUID(patient.id))
        [entry] = [e for e in db.scalars(mine) if e.action == "room.entry_refused"]
    assert (entry.actor_kind, entry.outcome) == ("participant", "refused")
    assert entry.organisation_id == patient.hospital.organisation_id
    assert entry.detail["code"] == "waiting-for-host"


def test_a_stranger_at_our_door_is_in_the_log_of_the_hospital(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.event("participant.refused", code="no-token", participant_id=""))

    with services.database.begin() as db:
        here = select(AuditEntry).where(AuditEntry.session_id == UUID(doctor.session_id))
        entries = [e for e in db.scalars(here) if e.actor_kind == "stranger"]
    assert [entry.detail["code"] for entry in entries] == ["no-token"]


def test_the_same_batch_twice_at_once_counts_once(
    prosody: Prosody, doctor: Someone, patient: Someone, services: Services
) -> None:
    batch = [doctor.joined(), patient.joined(), doctor.left("disconnected"), patient.left()]

    with ThreadPoolExecutor(4) as threads:
        accepted = list(threads.map(lambda _: prosody.tell(*batch), range(4)))

    assert accepted == [4] * 4
    assert len(told(services, doctor)) == 2
    assert len(stays(services, doctor)) == len(stays(services, patient)) == 1


def test_a_removal_and_a_join_at_once_end_in_removed(
    prosody: Prosody, alice: Hospital, services: Services
) -> None:
    people = [invite(services, alice, alice.new_session(), "doctor") for _ in range(8)]

    def remove(one: Someone) -> None:
        answer = alice.delete(f"/sessions/{one.session_id}/participants/{one.id}")
        assert answer.status_code == 200

    with ThreadPoolExecutor(2) as threads:
        told_all = threads.submit(lambda: [prosody.tell(one.joined()) for one in people])
        removed_all = threads.submit(lambda: list(map(remove, people)))
        assert told_all.result() == [1] * len(people)
        removed_all.result()

    assert [state(services, one) for one in people] == ["removed"] * len(people)


def odd_events(doctor: Someone) -> list[Any]:
    """Return events that cannot be taken in."""
    return [
        None,
        "text",
        {},
        doctor.joined(id="no id"),
        doctor.joined(at="now"),
        doctor.joined(at=-1),
        doctor.joined(at=1e30),
        doctor.joined(room=None),
        doctor.joined(connection="a\x00b"),
        doctor.joined(connection=["list"]),
        doctor.joined(room="x" * 2000),
    ]


def test_an_odd_event_does_not_keep_back_the_others(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    accepted = prosody.tell(
        *odd_events(doctor),
        doctor.joined(room="nowhere"),
        doctor.joined(participant_id="nobody"),
        doctor.joined(participant_id=str(uuid4())),
        doctor.event("participant.refused", room="nöwhere", participant_id="", code="x"),
        doctor.event("something.new"),
        doctor.joined(occupant="abc", seq=3, room_instance="i", weather="fine"),
    )

    assert accepted == 6
    assert len(stays(services, doctor)) == 1


def test_a_person_of_another_session_is_not_in_this_room(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    other = invite(services, alice, alice.new_session(), "doctor")

    prosody.tell(other.joined(room=doctor.room))

    assert stays(services, other) == []
    assert state(services, other) == "invited"
