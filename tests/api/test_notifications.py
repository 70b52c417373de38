"""Who is told what, and when: every kind of message, with the clock in the test's hand."""

import json
from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.notifications import sending
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.notices import Post
from tests.api.prosody import Prosody, invite
from tests.api.records import alter

ALWAYS_AWAKE = {"quiet_from": "00:00", "quiet_to": "00:00"}
SOON = timedelta(seconds=5)


@pytest.fixture
def post(services: Services, alice: Hospital) -> Post:
    """Alice's post."""
    made = Post(services, alice.organisation_id)
    made.relay()
    return made


def plan(alice: Hospital, ahead: timedelta) -> tuple[dict[str, Any], datetime]:
    """Plan a session and return it with its start."""
    start = utc_now().replace(microsecond=0) + ahead
    end = start + timedelta(minutes=30)
    body = {"planned_start": start.isoformat(), "planned_end": end.isoformat()}
    return alice.new_session(**body), start


def patient(alice: Hospital, session: dict[str, Any], **values: Any) -> dict[str, Any]:
    """Invite a patient with an address who may be told at any hour."""
    known = {"display_name": "Paula", "email": "paula@example.org", **ALWAYS_AWAKE}
    return alice.invite(session["id"], "patient", **{**known, **values})


def move(alice: Hospital, session: dict[str, Any], to: datetime) -> None:
    """Give the session another time."""
    path = f"/sessions/{session['id']}"
    etag = alice.get(path).headers["ETag"]
    end = to + timedelta(minutes=30)
    body = {"planned_start": to.isoformat(), "planned_end": end.isoformat()}
    answer = alice.patch(path, json=body, headers={"If-Match": etag})
    assert answer.status_code == 200, answer.text


def test_reminders_come_on_time_each_once(alice: Hospital, post: Post) -> None:
    """A day before and an hour before; not a second earlier."""
    session, start = plan(alice, timedelta(days=3))
    patient(alice, session)
    assert post.now() == [("invitation", "Paula")]
    for before in (timedelta(days=1), timedelta(hours=1)):
        assert post.now(start - before - SOON) == []
        assert post.now(start - before) == [("reminder", "Paula")]
        assert post.now(start - before + SOON) == []
    assert post.now(start + SOON) == []


def test_reminders_of_a_scheduler_that_was_down_still_come(alice: Hospital, post: Post) -> None:
    """Nobody relayed or delivered for days: the last useful one comes, the other is recorded."""
    session, start = plan(alice, timedelta(days=3))
    patient(alice, session)
    back = start - timedelta(minutes=40)
    assert ("reminder", "Paula") in post.now(back)
    assert post.now(back + SOON) == []
    early, late = post.rows(kind="reminder")
    assert (early.state, early.last_error) == ("dropped", "overtaken")
    assert late.state == "sent"


def test_a_useless_reminder_is_dropped_and_recorded(alice: Hospital, post: Post) -> None:
    """The scheduler came back after the start."""
    session, start = plan(alice, timedelta(days=3))
    patient(alice, session)
    post.now()
    assert post.now(start + SOON) == []
    assert {row.last_error for row in post.rows(kind="reminder")} == {"too_late"}


def test_reminders_follow_the_plan(alice: Hospital, post: Post) -> None:
    """Moved away and back: never for the old time, and once for the new."""
    session, start = plan(alice, timedelta(days=3))
    patient(alice, session)
    post.now()
    later = start + timedelta(days=2)
    move(alice, session, later)
    assert post.now() == [("rescheduled", "Paula")]
    assert post.now(start - timedelta(hours=1)) == []
    move(alice, session, start)
    assert post.now() == [("rescheduled", "Paula")]
    assert post.now(start - timedelta(days=1)) == [("reminder", "Paula")]
    assert post.now(later - timedelta(days=1)) == []


def test_a_change_without_another_time_tells_nobody(alice: Hospital, post: Post) -> None:
    """The reference of the visit is the hospital's own affair."""
    session, _start = plan(alice, timedelta(days=3))
    patient(alice, session)
    post.now()
    path = f"/sessions/{session['id']}"
    etag = alice.get(path).headers["ETag"]
    alice.patch(path, json={"reference": "other"}, headers={"If-Match": etag})
    assert post.now() == []
    assert [row.state for row in post.rows(kind="reminder")] == ["pending", "pending"]


@pytest.mark.parametrize("how", ["cancelled", "ended", "removed", "inside"])
def test_who_needs_no_reminder_gets_none(
    alice: Hospital, post: Post, services: Services, prosody: Prosody, how: str
) -> None:
    """Nor is one left pending."""
    session, start = plan(alice, timedelta(days=3))
    person = patient(alice, session)
    post.now()
    path = f"/sessions/{session['id']}"
    if how == "cancelled":
        alice.post(f"{path}/cancel", json={"reason": "x"})
    elif how == "ended":
        alice.post(f"{path}/start")
        alice.post(f"{path}/end", json={"reason": "x"})
    elif how == "removed":
        alice.delete(f"{path}/participants/{person['id']}")
    else:
        alter(
            services,
            "UPDATE teleconference.participants SET state = 'joined' WHERE id = :id",
            id=person["id"],
        )
    for moment in (start - timedelta(days=1), start - timedelta(hours=1)):
        assert "reminder" not in dict(post.now(moment))
    assert {row.state for row in post.rows(kind="reminder")} == {"dropped"}


def test_two_relays_and_two_workers_send_a_reminder_once(
    alice: Hospital, post: Post, services: Services
) -> None:
    """The second finds the events taken and the row claimed."""
    session, start = plan(alice, timedelta(days=3))
    patient(alice, session)
    other = Post(services, alice.organisation_id)
    post.relay()
    other.relay()
    due = start - timedelta(hours=1)
    post.deliver()
    assert sorted(post.now(due) + other.now(due)) == [("reminder", "Paula")]


def test_a_worker_that_died_leaves_the_message_to_the_next(alice: Hospital, post: Post) -> None:
    """Its claim runs out; the id, by which a repeat is known, stays."""
    session, _start = plan(alice, timedelta(days=3))
    patient(alice, session)
    post.relay()
    (row,) = post.rows(kind="invitation")
    now = utc_now()
    with post.services.database.begin() as db:
        lost = sending.claim(
            db, row.id, settings=post.services.settings, now=now,
            lease_until=now + timedelta(minutes=1),
        )  # fmt: skip
    assert lost is not None
    assert post.deliver(now + SOON) == []
    assert post.deliver(now + timedelta(minutes=1)) == [("invitation", "Paula")]
    assert post.sent[-1].id == row.id


def test_the_absent_are_told_that_it_began(
    alice: Hospital, post: Post, services: Services, prosody: Prosody
) -> None:
    """The host came in, which opens it; the host knows."""
    session, _start = plan(alice, timedelta(minutes=5))
    doctor = invite(services, alice, session, "doctor")
    alter(
        services,
        "UPDATE teleconference.participants SET email = 'd@example.org' WHERE id = :id",
        id=doctor.id,
    )
    patient(alice, session)
    post.now()
    prosody.tell(doctor.joined())
    assert post.now() == [("started", "Paula")]


def test_a_cancelled_session_is_told_to_all_even_in_two_events(alice: Hospital, post: Post) -> None:
    """Once, and with nothing left to open."""
    session, _start = plan(alice, timedelta(days=3))
    patient(alice, session)
    patient(alice, session, display_name="Rita", email="rita@example.org")
    post.now()
    alice.post(f"/sessions/{session['id']}/cancel", json={"reason": "x"})
    assert post.now() == [("cancelled", "Paula"), ("cancelled", "Rita")]
    assert {notice.link for notice in post.sent if notice.kind == "cancelled"} == {""}


@pytest.mark.parametrize("reason", ["no_show", "forgotten"])
def test_what_nobody_came_to_is_not_called_off_afterwards(
    alice: Hospital, post: Post, reason: str
) -> None:
    """The rules close it when its time is over, and nobody is told that it was cancelled."""
    session, _start = plan(alice, timedelta(days=3))
    patient(alice, session)
    post.now()
    alice.post(f"/sessions/{session['id']}/cancel", json={"reason": reason})
    assert post.now() == []


def test_the_hospital_decides_when_people_are_reminded_and_left_alone(
    alice: Hospital, post: Post
) -> None:
    """By its policy, where the person said nothing else."""
    tag = alice.get("/organisation").headers["ETag"]
    policy = {"reminders_s": [7200], "quiet_from": "10:00", "quiet_to": "14:00"}
    policy |= {"timezone": "Europe/Berlin"}
    alice.patch("/organisation", json={"policy": policy}, headers={"If-Match": tag})
    session, start = plan(alice, timedelta(days=3))
    at_noon = (start + timedelta(days=1)).replace(hour=11, minute=0)
    move(alice, session, at_noon)
    nobodys_choice = {"quiet_from": None, "quiet_to": None, "timezone": None}
    patient(alice, session, **nobodys_choice)
    patient(alice, session, display_name="Rita", email="rita@example.org")
    post.relay()
    due = {row.due_at for row in post.rows(kind="reminder")}
    berlin = ZoneInfo("Europe/Berlin")
    assert {one.astimezone(berlin).hour for one in due} == {9, at_noon.astimezone(berlin).hour - 2}


def test_a_new_link_is_sent(alice: Hospital, post: Post) -> None:
    """The old one is dead."""
    session, _start = plan(alice, timedelta(days=3))
    person = patient(alice, session)
    post.now()
    path = f"/sessions/{session['id']}/participants/{person['id']}/link"
    link = alice.post(path).get_json()["link"]
    assert post.now() == [("link_replaced", "Paula")]
    assert post.sent[-1].link == link


def test_the_host_is_told_once_who_waits(
    alice: Hospital, post: Post, services: Services, prosody: Prosody
) -> None:
    """Not the patient who waits, and not again when they knock twice."""
    session = alice.new_session()
    alice.invite(session["id"], "doctor", display_name="Dora", email="dora@example.org")
    person = patient(alice, session)
    post.now()
    about = {
        "session_id": session["id"],
        "participant_id": person["id"],
        "role": "patient",
        "participant_reference": None,
    }
    tell_waiting(services, session["id"], about)
    assert post.now() == [("patient_waiting", "Dora")]
    tell_waiting(services, session["id"], about)
    assert post.now() == []


def tell_waiting(services: Services, session_id: str, data: dict[str, Any]) -> None:
    """Write the event of the waiting room, which is known here by its name only."""
    statement = "SELECT teleconference.append_event(:id, :session, :type, :data, :now)"
    values = {
        "id": uuid4(),
        "session": session_id,
        "type": "participant.waiting",
        "data": json.dumps(data),
        "now": utc_now(),
    }
    with services.database.begin() as db:
        db.execute(text(statement), values)
