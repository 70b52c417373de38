"""After an outage the pictures of the rooms come first, and the events that waited come late."""

import time
from uuid import uuid4

import pytest
from flask import Flask
from sqlalchemy import event
from sqlalchemy.engine import Connection

from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, Someone, invite, prosody_of
from tests.api.test_rooms_events import state, stays, told
from tests.api.test_rooms_reconcile import occupant, picture, repaired


@pytest.fixture
def prosody(app: Flask, services: Services) -> Prosody:
    """The running Prosody. Nothing of other tests is left open."""
    running = prosody_of(app, services)
    running.tell({"id": str(uuid4()), "type": "server.started", "at": time.time()})
    return running


@pytest.fixture
def doctor(alice: Hospital, services: Services) -> Someone:
    """The doctor of an open session."""
    return invite(services, alice, alice.new_session(), "doctor")


def ago(seconds: float) -> float:
    """Return a Unix time."""
    return time.time() - seconds


def test_events_that_waited_do_not_tell_again_what_pictures_told(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    since = ago(120)
    repaired(services, picture(prosody, {doctor.room: [occupant(doctor, joined_at=since)]}))
    repaired(services, picture(prosody, {}))

    # Prosody writes milliseconds into its events, and more into its pictures.
    prosody.tell(doctor.joined(at=round(since, 3)), doctor.left(at=ago(30)))

    assert len(stays(services, doctor)) == 1
    assert told(services, doctor) == [
        ("participant.joined", ""),
        ("participant.left", "disconnected"),
    ]


def test_a_new_stay_of_a_known_connection_is_taken_in(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    since = ago(120)
    repaired(services, picture(prosody, {doctor.room: [occupant(doctor, joined_at=since)]}))
    repaired(services, picture(prosody, {}))

    prosody.tell(doctor.joined(at=since), doctor.left(at=ago(30)), doctor.joined(at=ago(20)))

    assert len(stays(services, doctor)) == 2
    assert state(services, doctor) == "joined"


@pytest.mark.parametrize("kind", ["room.destroyed", "participant.left"])
def test_the_end_of_an_earlier_stay_does_not_end_a_later_one(
    prosody: Prosody, doctor: Someone, services: Services, kind: str
) -> None:
    repaired(services, picture(prosody, {doctor.room: [occupant(doctor, joined_at=ago(60))]}))

    prosody.tell(doctor.event(kind, at=ago(90), reason="left"))

    assert [stay.left_at for stay in stays(services, doctor)] == [None]
    assert state(services, doctor) == "joined"


@pytest.mark.parametrize("people", [1, 6])
def test_however_many_are_missing_attendance_is_read_twice(
    prosody: Prosody, alice: Hospital, services: Services, people: int
) -> None:
    session = alice.new_session()
    missing = [invite(services, alice, session, "doctor") for _ in range(people)]
    seen = picture(prosody, {session["room_name"]: [occupant(one) for one in missing]})

    assert attendance_queries(services, lambda: repaired(services, seen)) == 2

    assert [state(services, one) for one in missing] == ["joined"] * people


def attendance_queries(services: Services, work: object) -> int:
    """Count how often the work reads attendance."""
    statements: list[str] = []

    def note(connection: Connection, cursor: object, statement: str, *_: object) -> None:
        statements.append(statement)

    event.listen(services.database.engine, "before_cursor_execute", note)
    try:
        assert callable(work)
        work()
    finally:
        event.remove(services.database.engine, "before_cursor_execute", note)
    return sum("SELECT" in one and "FROM teleconference.attendance" in one for one in statements)


def test_who_edits_a_person_is_not_overtaken_by_their_coming_and_going(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    path = f"/sessions/{doctor.session_id}/participants/{doctor.id}"
    read = alice.get(path).headers["ETag"]

    prosody.tell(doctor.joined(at=ago(9)))
    prosody.tell(doctor.left("disconnected"))
    prosody.tell(doctor.joined(connection="c2"))
    answer = alice.patch(path, json={"display_name": "Dr. B"}, headers={"If-Match": read})

    assert answer.status_code in (200, 202), answer.text
    assert answer.get_json()["state"] == "joined"
