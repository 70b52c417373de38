"""What people are told when a room or a connection dies."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.clock import utc_now
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.notices import Post
from tests.api.prosody import Prosody, Someone, invite
from tests.api.records import alter, events_of, types_of
from tests.api.test_notifications import post

__all__ = ["post"]


@pytest.fixture
def inside(alice: Hospital, services: Services, prosody: Prosody, post: Post) -> list[Someone]:
    """A doctor and a patient in an open room, with addresses."""
    session = alice.new_session()
    people = [invite(services, alice, session, role) for role in ("doctor", "patient")]
    for number, person in enumerate(people):
        alter(
            services,
            "UPDATE teleconference.participants SET email = :email WHERE id = :id",
            email=f"p{number}@example.org",
            id=person.id,
        )
        prosody.tell(person.joined(connection=f"c{number}"))
    post.now()
    return people


def interruptions(services: Services, someone: Someone) -> list[dict[str, Any]]:
    """Return what was told of interruptions of the session."""
    found = events_of(services, someone.session_id)
    return [event.data for event in found if event.type == "session.interrupted"]


def test_a_restarted_server_is_an_interruption_told_at_once(
    inside: list[Someone], prosody: Prosody, post: Post, services: Services
) -> None:
    """Both get it within the second, and a minute later nothing more."""
    started = {"id": str(uuid4()), "type": "server.started", "at": utc_now().timestamp()}
    prosody.tell(started, source=str(uuid4()))
    (told,) = interruptions(services, inside[0])
    assert sorted(told["participant_ids"]) == sorted(person.id for person in inside)
    assert [kind for kind, _ in post.now()] == ["ended_unexpectedly"] * 2
    assert post.now(utc_now() + timedelta(minutes=2)) == []
    assert {row.last_error for row in post.rows(kind="disconnected")} == {"told_already"}


@pytest.mark.parametrize("order", ["lost events", "leaves first"])
def test_a_room_destroyed_by_nobodys_order_is_an_interruption(
    inside: list[Someone], prosody: Prosody, services: Services, order: str
) -> None:
    """One event for the room, whether its leaves were told or lost."""
    doctor, sick = inside
    batch = [doctor.event("room.destroyed", participant_id=None)]
    if order == "leaves first":
        batch = [
            doctor.left("ended", connection="c0"), sick.left("ended", connection="c1"), *batch
        ]  # fmt: skip
    prosody.tell(*batch)
    (told,) = interruptions(services, doctor)
    assert sorted(told["participant_ids"]) == sorted([doctor.id, sick.id])


def test_one_death_told_in_two_batches_is_one_interruption(
    inside: list[Someone], prosody: Prosody, services: Services
) -> None:
    """The first names everybody; and the next death is another."""
    doctor, sick = inside
    prosody.tell(doctor.left("ended", connection="c0"))
    prosody.tell(
        sick.left("ended", connection="c1"), doctor.event("room.destroyed", participant_id=None)
    )
    (told,) = interruptions(services, doctor)
    assert sorted(told["participant_ids"]) == sorted([doctor.id, sick.id])
    prosody.tell(sick.joined(connection="c2"))
    prosody.tell(doctor.event("room.destroyed", participant_id=None))
    assert [told["participant_ids"] for told in interruptions(services, doctor)[1:]] == [[sick.id]]


def test_an_end_by_order_and_a_last_leave_are_no_interruption(
    inside: list[Someone], prosody: Prosody, services: Services, alice: Hospital
) -> None:
    """State first, then the room."""
    doctor, sick = inside
    prosody.tell(sick.left(connection="c1"))
    alice.post(f"/sessions/{doctor.session_id}/end", json={"reason": "x"})
    prosody.tell(
        doctor.left("ended", connection="c0"), doctor.event("room.destroyed", participant_id=None)
    )
    assert "session.interrupted" not in types_of(services, doctor.session_id)


@pytest.mark.parametrize("comes_back", ["", "and stays", "and leaves"])
def test_who_lost_the_connection_gets_a_link_after_a_minute(
    inside: list[Someone], prosody: Prosody, post: Post, comes_back: str
) -> None:
    """Unless they have been back by then, whether or not they left again of their own will."""
    sick = inside[1]
    prosody.tell(sick.left("disconnected", connection="c1"))
    assert post.now() == []
    if comes_back:
        prosody.tell(sick.joined(connection="c9"))
    if comes_back == "and leaves":
        prosody.tell(sick.left(connection="c9"))
    told = [kind for kind, _ in post.now(utc_now() + timedelta(seconds=61))]
    assert told == ([] if comes_back else ["disconnected"])
