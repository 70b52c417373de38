"""What people wish for: channels, hours of rest, and what the API shows and takes."""

from datetime import timedelta
from typing import Any

import pytest

from app.clock import utc_now
from app.notifications import sending
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.notices import Post
from tests.api.records import events_of
from tests.api.test_notifications import SOON, patient, plan, post

__all__ = ["post"]


def test_hours_of_rest_hold_back_what_can_wait(alice: Hospital, post: Post) -> None:
    """The person chose them around the present hour; an urgent kind does not ask."""
    session, _start = plan(alice, timedelta(days=3))
    now = utc_now()
    rest = {
        "quiet_from": (now - timedelta(hours=1)).strftime("%H:%M"),
        "quiet_to": (now + timedelta(hours=1)).strftime("%H:%M"),
    }
    patient(alice, session, **rest)
    assert post.now() == []
    assert post.now(now + timedelta(minutes=61)) == [("invitation", "Paula")]


def test_channels_and_unsubscribed_kinds_are_the_persons_choice(
    alice: Hospital, post: Post
) -> None:
    """The first that has an address; by default e-mail, SMS, the service."""
    session, start = plan(alice, timedelta(days=3))
    choices: dict[str, tuple[dict[str, Any], list[str]]] = {
        "Default": ({}, ["email"]),
        "Phone": ({"email": None, "phone": "+49 30 1234567"}, ["sms"]),
        "Nothing": ({"email": None}, ["service"]),
        "Chosen": ({"phone": "+4930123456", "channels": ["sms", "email"]}, ["sms"]),
        "No way": ({"channels": ["sms"]}, []),
        "Silence": ({"channels": []}, []),
    }
    for name, (values, _expected) in choices.items():
        patient(alice, session, display_name=name, **values)
    patient(alice, session, display_name="Unreminded", unsubscribed=["reminder"])
    post.now()
    for name, (_values, expected) in choices.items():
        found = [str(n.channel) for n in post.sent if n.name == name]
        assert (name, found) == (name, expected)
    assert ("reminder", "Unreminded") not in post.now(start - timedelta(hours=1))


def test_a_changed_channel_moves_the_reminders(alice: Hospital, post: Post) -> None:
    """One reminder, over the new one."""
    session, start = plan(alice, timedelta(days=3))
    person = patient(alice, session, phone="+4930123456")
    post.now()
    path = f"/sessions/{session['id']}/participants/{person['id']}"
    etag = alice.get(path).headers["ETag"]
    answer = alice.patch(path, json={"channels": ["sms"]}, headers={"If-Match": etag})
    assert answer.status_code in (200, 202), answer.text
    post.relay()
    assert post.now(start - timedelta(hours=1)) == [("reminder", "Paula")]
    assert post.sent[-1].channel == "sms"


def test_a_dead_channel_gives_way_to_the_next_and_the_last_is_an_event(
    alice: Hospital, post: Post, services: Services
) -> None:
    """The mail server refuses for good, then the gateway does."""
    session, _start = plan(alice, timedelta(days=3))
    patient(alice, session, phone="+4930123456", channels=["email", "sms"])
    post.relay()
    for channel in ("email", "sms"):
        (row,) = post.rows(kind="invitation", channel=channel)
        now = utc_now() + SOON
        with services.database.begin() as db:
            claimed = sending.claim(
                db, row.id, settings=services.settings, now=now, lease_until=now + SOON
            )
            assert claimed is not None
            sending.record_failure(
                db, claimed, error="smtp_550", retry_at=None, available=post.available, now=now
            )
    assert {row.state for row in post.rows(kind="invitation")} == {"failed"}
    last = events_of(services, session["id"])[-1]
    assert (last.type, last.data["channel"]) == ("notification.failed", "sms")


def test_the_list_shows_states_and_no_address(
    alice: Hospital, charlie: Hospital, post: Post
) -> None:
    """What a clinic needs to know whether people know."""
    session, _start = plan(alice, timedelta(days=3))
    person = patient(alice, session)
    post.now()
    path = f"/sessions/{session['id']}/notifications"
    answer = alice.get(f"{path}?kind=invitation")
    (shown,) = answer.get_json()["items"]
    assert (shown["state"], shown["channel"], shown["attempts"]) == ("sent", "email", 1)
    assert shown["participant_id"] == person["id"]
    assert "paula" not in answer.text
    assert charlie.get(path).status_code == 404


def test_an_invitation_is_sent_again_once_per_request(alice: Hospital, post: Post) -> None:
    """A repeat with the same key sends nothing more; who has no address is a conflict."""
    session, _start = plan(alice, timedelta(days=3))
    person = patient(alice, session)
    post.now()
    path = f"/sessions/{session['id']}/notifications"
    body = {"participant_id": person["id"], "kind": "invitation"}
    key = {"Idempotency-Key": "again"}
    answers = [alice.post(path, json=body, headers=key) for _ in range(2)]
    assert [answer.status_code for answer in answers] == [202, 202]
    assert answers[0].get_json() == answers[1].get_json()
    assert post.now() == [("invitation", "Paula")]
    silent = patient(alice, session, channels=[])
    refused = alice.post(path, json={**body, "participant_id": silent["id"]})
    assert (refused.status_code, refused.get_json()["code"]) == (409, "participant_unreachable")
    alice.delete(f"/sessions/{session['id']}/participants/{person['id']}")
    assert alice.post(path, json=body).get_json()["code"] == "participant_removed"


@pytest.mark.parametrize(
    ("values", "field"),
    [
        ({"phone": "030 1234567"}, "phone"),
        ({"phone": "+49 1"}, "phone"),
        ({"channels": ["pigeon"]}, "channels"),
        ({"channels": ["sms", "sms"]}, "channels"),
        ({"quiet_from": "25:00"}, "quiet_from"),
        ({"timezone": "Europe/Nowhere"}, "timezone"),
        ({"timezone": "../../etc/passwd"}, "timezone"),
        ({"unsubscribed": ["ended_unexpectedly"]}, "unsubscribed"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    alice: Hospital, values: dict[str, Any], field: str
) -> None:
    """With the name of the field."""
    session = alice.new_session()
    body = {"role": "patient", "display_name": "Paula", **values}
    answer = alice.post(f"/sessions/{session['id']}/participants", json=body)
    assert answer.status_code == 422
    assert answer.get_json()["errors"][0]["field"].startswith(field)


def test_a_number_is_kept_as_e164(alice: Hospital) -> None:
    """However it was typed."""
    session = alice.new_session()
    assert patient(alice, session, phone="+49 (30) 123-4567")["phone"] == "+49301234567"
