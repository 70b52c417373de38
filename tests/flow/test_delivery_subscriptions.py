"""`/webhooks`: a hospital subscribes an address, changes it, and switches it off."""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime, timedelta
from threading import Event
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import select

from app.clock import utc_now
from app.errors import Unavailable
from app.events.service import append
from app.localstack.process import wait_until
from app.services import Services
from app.signing import decode_secret
from app.webhooks import deliveries
from app.webhooks.models import WebhookDelivery, WebhookSubscription
from tests.api.conftest import alice, app, charlie
from tests.api.hospital import Hospital
from workers.jobs.context import JobContext, hold
from workers.jobs.wakeups import Wakeups
from workers.jobs.webhooks import drain_webhook
from workers.relay import relay_events

__all__ = ["alice", "app", "charlie"]

URL = "https://hospital.example/hooks"


def subscribe(hospital: Hospital, **body: Any) -> dict[str, Any]:
    """Subscribe and return the answer's body."""
    answer = hospital.post("/webhooks", json={"url": URL, **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())


def test_the_secret_is_shown_once_and_stored_encrypted(alice: Hospital, services: Services) -> None:
    """Neither reading nor listing shows it again."""
    made = subscribe(alice)
    key = decode_secret(made["secret"])
    assert made["secret"].startswith("whsec_")
    assert (made["event_types"], made["is_active"]) == ([], True)

    read = alice.get(f"/webhooks/{made['id']}")
    assert read.headers["ETag"] == '"1"'
    assert "secret" not in read.get_json()
    listed = alice.get("/webhooks").get_json()
    assert [item["id"] for item in listed["items"]] == [made["id"]]
    assert "secret" not in listed["items"][0]
    with services.database.begin() as db:
        row = db.scalars(select(WebhookSubscription).filter_by(id=made["id"])).one()
    assert key not in row.secret
    assert services.vault.decrypt(row.secret) == key


def test_a_repeat_with_the_same_key_gets_the_same_secret(alice: Hospital) -> None:
    """A program that lost the answer can ask again."""
    options = {"json": {"url": URL}, "headers": {"Idempotency-Key": "one"}}
    first, second = alice.post("/webhooks", **options), alice.post("/webhooks", **options)
    assert first.get_json() == second.get_json()


def test_an_own_secret_is_taken(alice: Hospital) -> None:
    """For hospitals that keep their secrets in one place."""
    secret = "whsec_" + "A" * 40
    assert subscribe(alice, secret=secret)["secret"] == secret


@pytest.mark.parametrize(
    ("body", "field"),
    [
        ({}, "url"),
        ({"url": "ftp://hospital.example"}, "url"),
        ({"url": "https://x.example/" + "a" * 2000}, "url"),
        ({"url": URL, "event_types": ["participant.exploded"]}, "event_types.0"),
        ({"url": URL, "secret": "whsec_short"}, "secret"),
        ({"url": URL, "colour": "green"}, "colour"),
    ],
)
def test_what_cannot_be_meant_is_refused(alice: Hospital, body: Any, field: str) -> None:
    """422 with the field."""
    answer = alice.post("/webhooks", json=body)
    assert answer.status_code == 422
    assert answer.get_json()["field"] == field


def test_an_address_is_subscribed_once(alice: Hospital, charlie: Hospital) -> None:
    """409 for the same hospital; another hospital may use the same gateway."""
    subscribe(alice)
    again = alice.post("/webhooks", json={"url": URL})
    assert (again.status_code, again.get_json()["code"]) == (409, "webhook_exists")
    subscribe(charlie)


def test_another_hospital_sees_nothing(alice: Hospital, charlie: Hospital) -> None:
    """404, as if there were none."""
    path = f"/webhooks/{subscribe(alice)['id']}"
    assert charlie.get(path).status_code == 404
    assert charlie.delete(path).status_code == 404
    changed = charlie.patch(path, json={"is_active": False}, headers={"If-Match": '"1"'})
    assert changed.status_code == 404
    assert charlie.get("/webhooks").get_json()["items"] == []


def test_a_change_names_the_version_it_read(alice: Hospital) -> None:
    """428 without, 412 with an old one."""
    path = f"/webhooks/{subscribe(alice)['id']}"
    assert alice.patch(path, json={"is_active": False}).status_code == 428
    body = {"url": URL + "/2", "event_types": ["session.ended"], "secret": "A" * 40}
    changed = alice.patch(path, json=body, headers={"If-Match": '"1"'})
    assert changed.status_code == 200, changed.text
    assert changed.get_json()["url"] == URL + "/2"
    assert changed.headers["ETag"] == '"2"'
    assert alice.patch(path, json={}, headers={"If-Match": '"1"'}).status_code == 412


@pytest.mark.parametrize("word", ["yes", 1, "true"])
def test_a_switch_is_on_or_off(alice: Hospital, word: Any) -> None:
    """`true` or `false`, as the description of the API says; a query holds them as text."""
    path = f"/webhooks/{subscribe(alice)['id']}"
    changed = alice.patch(path, json={"is_active": word}, headers={"If-Match": '"1"'})
    assert (changed.status_code, changed.get_json()["field"]) == (422, "is_active")
    listed = alice.get("/webhooks", query_string={"is_active": word})
    assert listed.status_code == (200 if word == "true" else 422)


def test_switched_off_nothing_more_is_sent(alice: Hospital, services: Services) -> None:
    """What was waiting has failed, and new events make no deliveries."""
    made = subscribe(alice)
    alice.new_session()
    relay(services)
    assert states(services, made["id"]) == ["pending"]

    path = f"/webhooks/{made['id']}"
    assert alice.delete(path).status_code == 204
    assert alice.delete(path).status_code == 204
    alice.new_session()
    relay(services)

    assert alice.get(path).get_json()["is_active"] is False
    assert states(services, made["id"]) == ["failed"]


def test_only_the_first_pending_delivery_of_a_session_can_be_claimed(
    alice: Hospital, services: Services
) -> None:
    """While it is claimed, or waits for its next attempt, the second is out of reach."""
    made = subscribe(alice)
    session = alice.new_session()
    alice.invite(session["id"])
    other = alice.new_session()
    relay(services)

    claimed = claim(services, made["id"])
    assert len(claimed) == 2, "one of each session"
    assert claim(services, made["id"]) == []
    with services.database.begin() as db:
        for delivery in claimed:
            deliveries.record_delivered(db, attempt(delivery, 200), now=utc_now())
    (last,) = claim(services, made["id"])
    assert b'"participant.invited"' in last.body
    assert other["id"].encode() not in last.body


def test_a_claim_that_ran_out_changes_nothing_when_it_fails_late(
    alice: Hospital, services: Services
) -> None:
    """Another worker holds the delivery by now."""
    made = subscribe(alice)
    alice.new_session()
    relay(services)
    (old,) = claim(services, made["id"], lease_s=0)
    (new,) = claim(services, made["id"])
    fail(services, old, retry_at=None)
    assert states(services, made["id"]) == ["pending"]
    fail(services, new, retry_at=None)
    assert states(services, made["id"]) == ["failed"]


def test_what_comes_behind_a_failed_delivery_waits_with_it(
    alice: Hospital, services: Services
) -> None:
    """So a sweep has nothing to look at; while the failed one is tried again nothing waits."""
    made = subscribe(alice)
    session = alice.new_session()
    relay(services)
    (first,) = claim(services, made["id"])
    again = utc_now() + timedelta(seconds=0.5)
    fail(services, first, retry_at=again)
    alice.invite(session["id"])
    relay(services)
    assert [row.next_attempt_at for row in rows(services, made["id"])] == [again, again]

    assert wait_until(lambda: bool(claim(services, made["id"])), 5)
    alice.invite(session["id"])
    relay(services)
    assert rows(services, made["id"])[-1].next_attempt_at <= utc_now()


def test_workers_that_die_use_up_no_attempt(alice: Hospital, services: Services) -> None:
    """A dozen claims ran out within a minute; the first refusal after them is not the last."""
    made = subscribe(alice)
    alice.new_session()
    relay(services)
    for _ in range(services.settings.delivery_attempts):
        assert len(claim(services, made["id"], lease_s=0)) == 1

    hold(JobContext(replace(services, http=Refusing()), NoWakeups(), Event()))
    drain_webhook(made["id"])

    (row,) = rows(services, made["id"])
    assert (row.state, row.attempts, row.failures) == ("pending", 13, 1)


class NoWakeups(Wakeups):
    """As if Redis knew nothing of the subscription."""

    def __init__(self) -> None:
        pass

    def begin(self, job: str, subject: UUID) -> bool:
        """Not paused."""
        return True

    def silences(self, job: str, subject: UUID) -> int:
        """Never silent."""
        return 0


class Refusing:
    """A receiver that has a problem."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Answer 503."""
        raise Unavailable("The receiver has a problem.", code="http_503")


def test_a_relay_waits_while_another_is_at_it(alice: Hospital, services: Services) -> None:
    """It could make the deliveries of a later event visible before those of an earlier one."""
    made = subscribe(alice)
    session_id = UUID(alice.new_session()["id"])
    with services.database.begin() as first:
        assert relay_events(first, limit=100, now=utc_now()).events
        with services.database.begin() as other:
            data: dict[str, Any] = {"reference": None, "changed": []}
            append(other, "session.updated", session_id=session_id, data=data, now=utc_now())
        with services.database.begin() as second:
            assert relay_events(second, limit=100, now=utc_now()).events == 0
    relay(services)
    assert states(services, made["id"]) == ["pending", "pending"]


def test_the_subscriptions_need_their_scope(app: Flask) -> None:
    """Without a token nothing is shown."""
    assert app.test_client().get("/webhooks").status_code == 401


def relay(services: Services) -> None:
    """Hand on everything there is, as the relay does."""
    events = 1
    while events:
        with services.database.begin() as db:
            events = relay_events(db, limit=100, now=utc_now()).events


def claim(
    services: Services, subscription_id: str, lease_s: float = 60
) -> list[deliveries.Delivery]:
    """Claim what is due, as a worker does."""
    now = utc_now()
    with services.database.begin() as db:
        return deliveries.claim(
            db,
            subscription_id=UUID(subscription_id),
            limit=10,
            lease_until=now + timedelta(seconds=lease_s),
            now=now,
        )


def fail(services: Services, delivery: deliveries.Delivery, retry_at: datetime | None) -> None:
    """Record a refusal, as a worker does."""
    with services.database.begin() as db:
        deliveries.record_failure(db, attempt(delivery, 500, "http_500"), retry_at=retry_at)


def attempt(delivery: deliveries.Delivery, status: int, error: str = "") -> deliveries.Attempt:
    """Return what a request came to."""
    return deliveries.Attempt(delivery, status, utc_now(), 12, error)


def rows(services: Services, subscription_id: str) -> list[WebhookDelivery]:
    """Return all deliveries of a subscription."""
    with services.database.begin() as db:
        query = select(WebhookDelivery).filter_by(subscription_id=subscription_id)
        return list(db.scalars(query.order_by(WebhookDelivery.id)))


def states(services: Services, subscription_id: str) -> list[str]:
    """Return the states of all deliveries of a subscription."""
    return [row.state for row in rows(services, subscription_id)]
