"""The service's picture of the rooms against the real occupants: what was lost is repaired."""

import time
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from marshmallow import ValidationError

from app.clock import utc_now
from app.participants.models import Participant
from app.ports import RoomOrder
from app.rooms.reconcile import reconcile
from app.rooms.schemas import Picture, read_picture
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody, Someone, invite, prosody_of
from tests.api.test_rooms_events import state, stays, told

A_MINUTE = timedelta(minutes=1)


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


def occupant(someone: Someone, **changes: Any) -> dict[str, Any]:
    """Return a person in a picture, inside for a minute."""
    since = time.time() - 60
    return {"participant_id": someone.id, "connection": "c1", "joined_at": since, **changes}


def picture(
    prosody: Prosody, rooms: dict[str, list[dict[str, Any]]], *, asked_at: datetime | None = None
) -> Picture:
    """Return what the gateway would leave."""
    described = [
        {"room": name, "room_instance": "i", "occupants": people} for name, people in rooms.items()
    ]
    at = (asked_at or utc_now()).timestamp()
    return read_picture({"asked_at": at, "answer": {"source": prosody.source, "rooms": described}})


def repaired(services: Services, seen: Picture) -> list[RoomOrder]:
    """Reconcile and commit; return the orders."""
    with services.database.begin() as db:
        return reconcile(db, seen, now=utc_now())


def a_minute_ago() -> float:
    """Return a Unix time."""
    return time.time() - 60


def test_nothing_is_done_when_nothing_differs(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(at=a_minute_ago()))
    before = told(services, doctor)

    assert repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]})) == []

    assert told(services, doctor) == before


def test_a_lost_leave_is_closed(prosody: Prosody, doctor: Someone, services: Services) -> None:
    prosody.tell(doctor.joined(at=a_minute_ago()))

    repaired(services, picture(prosody, {}))

    assert [stay.leave_reason for stay in stays(services, doctor)] == ["disconnected"]
    assert state(services, doctor) == "left"
    assert told(services, doctor)[-1] == ("participant.left", "disconnected")


def test_a_missing_join_is_recorded_with_its_time(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    here = occupant(doctor)

    repaired(services, picture(prosody, {doctor.room: [here]}))

    [stay] = stays(services, doctor)
    assert stay.joined_at.timestamp() == pytest.approx(here["joined_at"], abs=0.001)
    assert state(services, doctor) == "joined"
    assert told(services, doctor) == [("participant.joined", "")]


def test_the_event_that_comes_after_its_repair_changes_nothing(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}))

    prosody.tell(doctor.joined(at=a_minute_ago()))

    assert len(stays(services, doctor)) == 1
    assert told(services, doctor) == [("participant.joined", "")]


def test_who_came_after_the_picture_is_not_thrown_out_of_it(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    asked_at = utc_now()
    prosody.tell(doctor.joined())

    repaired(services, picture(prosody, {}, asked_at=asked_at))

    assert state(services, doctor) == "joined"


def test_who_left_after_the_picture_is_not_brought_back(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    asked_at = utc_now()
    prosody.tell(doctor.joined(at=a_minute_ago()), doctor.left())

    repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}, asked_at=asked_at))

    assert state(services, doctor) == "left"


def test_a_connection_wrongly_closed_long_ago_is_recorded_again(
    prosody: Prosody, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(at=a_minute_ago()), doctor.left(at=time.time() - 30))

    repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}))

    assert state(services, doctor) == "joined"


def test_a_removed_person_still_inside_is_put_out(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    prosody.tell(doctor.joined(at=a_minute_ago()))
    alice.delete(f"/sessions/{doctor.session_id}/participants/{doctor.id}")

    [order] = repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}))

    assert order.name == "kick"
    assert order.args["participant_id"] == doctor.id
    assert (order.args["ban"], order.args.get("ban_until")) == (True, None)


def test_who_was_removed_for_a_time_is_put_out_until_then(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    """And not for good, which Prosody would take for days; whose time is over is left in peace."""
    prosody.tell(doctor.joined(at=a_minute_ago()))
    path = f"/sessions/{doctor.session_id}/participants/{doctor.id}"
    assert alice.delete(path, json={"ban_s": 900}).status_code == 200

    [order] = repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}))
    assert order.args["ban_until"] == pytest.approx(time.time() + 900, abs=60)

    with services.database.begin() as db:
        person = db.get_one(Participant, UUID(doctor.id))
        person.removed_until = utc_now() - timedelta(seconds=1)
    assert repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]})) == []


def test_the_room_of_a_session_that_is_over_is_ended(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    alice.post(f"/sessions/{doctor.session_id}/end")

    orders = repaired(services, picture(prosody, {doctor.room: [occupant(doctor)]}))

    assert [(order.name, order.args["room"]) for order in orders] == [("end", doctor.room)]


def test_rooms_and_people_that_are_not_ours_are_left_alone(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    stranger = occupant(doctor, participant_id=str(uuid4()))
    nobody = occupant(doctor, participant_id="focus")

    orders = repaired(services, picture(prosody, {"theirs": [stranger], doctor.room: [nobody]}))

    assert orders == []


def test_a_person_in_the_wrong_room_is_not_recorded(
    prosody: Prosody, alice: Hospital, doctor: Someone, services: Services
) -> None:
    other = invite(services, alice, alice.new_session(), "doctor")

    repaired(services, picture(prosody, {doctor.room: [occupant(other)]}))

    assert stays(services, other) == []
    assert UUID(other.id)


@pytest.mark.parametrize("content", [None, {}, {"asked_at": 1, "answer": {"source": "s"}}])
def test_an_odd_picture_is_refused(content: Any) -> None:
    with pytest.raises(ValidationError):
        read_picture(content)
