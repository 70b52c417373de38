"""Pausing, repeating, rotating: what a hospital does to a subscription while events flow."""

import base64
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest
from flask import Flask
from sqlalchemy import update
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from app.clock import utc_now
from app.factory import create_app
from app.services import Services
from app.web.auth import SCOPES, issue_token
from app.webhooks.health import PATIENCE
from app.webhooks.models import WebhookSubscription
from app.webhooks.sending import REDELIVERY
from tests.api.conftest import app
from tests.api.hospital import Hospital as Program
from tests.api.hospital import admit_hospital
from tests.api.problems import problem
from tests.flow.delivery import (
    Hospital,
    Receiver,
    eventually,
    first_sequences,
    hospital,
    receiver,
)

__all__ = ["app", "hospital", "receiver"]


@pytest.fixture
def program(hospital: Hospital) -> Program:
    """The REST API over the stack's database, as the hospital's own program."""
    made = create_app(hospital.services)
    other = admit_hospital(made, hospital.services, "unused")
    token = issue_token(
        client_id=other.client_id,
        organisation_id=hospital.id,
        scopes=tuple(SCOPES),
        secret=hospital.services.settings.api_token_secret[0],
        ttl_s=900,
        now=utc_now(),
    )
    return Program(made, hospital.id, other.client_id, "", token)


def done(answer: Any, status: int = 200) -> dict[str, Any]:
    """Return the body of an answer that must be a success."""
    assert answer.status_code == status, answer.text
    return dict(answer.get_json())


def test_paused_nothing_is_sent_and_nothing_is_lost(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """What happened meanwhile comes in sequence after the pause."""
    hook = hospital.subscribe(receiver)
    session = hospital.session()
    eventually(lambda: len(receiver.accepted()) == 1, "the first event")

    paused = done(program.post(f"/webhooks/{hook}/pause"))
    assert (paused["pause_reason"], bool(paused["paused_at"])) == ("requested", True)
    done(program.post(f"/webhooks/{hook}/pause"))
    hospital.happen(session.id, 5)
    eventually(lambda: len(hospital.deliveries(hook)) == 6, "the deliveries that wait")
    other = hospital.session()
    eventually(lambda: len(hospital.deliveries(hook)) == 7, "one more")
    assert len(receiver.accepted()) == 1

    resumed = done(program.post(f"/webhooks/{hook}/resume"))
    assert (resumed["pause_reason"], resumed["paused_at"]) == (None, None)
    eventually(lambda: len(receiver.accepted()) == 7, "all that waited")
    assert first_sequences(receiver.accepted()) == {
        str(session.id): [1, 2, 3, 4, 5, 6],
        str(other.id): [1],
    }
    assert receiver.invalid == 0


def test_a_receiver_that_fails_for_days_is_paused(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """The subscription says since when and why; what waits is not given up."""
    hook = hospital.subscribe(receiver)
    receiver.answer = lambda event: 500
    session = hospital.session()
    eventually(lambda: hospital.subscription(hook).failing_since is not None, "the note of it")
    with hospital.services.database.begin() as db:
        db.execute(
            update(WebhookSubscription)
            .where(WebhookSubscription.id == hook)
            .values(failing_since=utc_now() - PATIENCE)
        )
    hospital.make_due(hook)
    eventually(lambda: hospital.subscription(hook).paused_at is not None, "the pause")
    shown = done(program.get(f"/webhooks/{hook}"))
    assert shown["pause_reason"] == "failing"

    receiver.answer = lambda event: 204
    hospital.happen(session.id)
    done(program.post(f"/webhooks/{hook}/resume"))
    eventually(lambda: len(receiver.accepted()) == 2, "both events")
    assert done(program.get(f"/webhooks/{hook}"))["failing_since"] is None


def test_a_success_ends_a_failure(hospital: Hospital, receiver: Receiver) -> None:
    """Three days count from the last thing the receiver took."""
    hook = hospital.subscribe(receiver)
    receiver.answer = lambda event: 500
    hospital.session()
    eventually(lambda: hospital.subscription(hook).failing_since is not None, "the note of it")
    receiver.answer = lambda event: 204
    hospital.make_due(hook)
    eventually(lambda: hospital.subscription(hook).failing_since is None, "the end of it")


def test_the_log_tells_what_was_sent(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """Attempts, status, duration, when it is tried again; by state."""
    hook = hospital.subscribe(receiver)
    session = hospital.session()
    eventually(lambda: len(receiver.accepted()) == 1, "the first event")
    receiver.answer = lambda event: 503
    hospital.happen(session.id)
    eventually(lambda: hospital.waits_for_retry(hook), "the failure")

    path = f"/webhooks/{hook}/deliveries"
    (waits,) = done(program.get(path, query_string={"state": "pending"}))["items"]
    assert (waits["attempts"], waits["last_status"], waits["last_error"]) == (1, 503, "http_503")
    assert waits["next_attempt_at"] > waits["last_attempt_at"]
    (sent,) = done(program.get(path, query_string={"state": "delivered"}))["items"]
    assert (sent["last_status"], sent["last_error"], sent["redeliveries"]) == (204, None, 0)
    assert sent["last_duration_ms"] >= 0
    page = done(program.get(path, query_string={"limit": 1}))
    assert [item["id"] for item in page["items"]] == [waits["id"]]
    assert page["next_cursor"]


def test_one_delivery_is_sent_again_and_marked(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """Same id, same bytes, and a header that counts."""
    marks: list[str | None] = []
    take = receiver.take

    def noting(headers: dict[str, str], body: bytes) -> int:
        marks.append(headers.get(REDELIVERY))
        return take(headers, body)

    receiver.take = noting  # type: ignore[method-assign]
    hook = hospital.subscribe(receiver)
    hospital.session()
    eventually(lambda: len(receiver.accepted()) == 1, "the event")
    (delivery,) = hospital.deliveries(hook)
    again = f"/webhooks/{hook}/deliveries/{delivery.id}/redeliver"
    eventually(lambda: hospital.deliveries(hook)[0].state == "delivered", "the record")
    assert done(program.post(again), 202)["redeliveries"] == 1
    eventually(lambda: len(receiver.accepted()) == 2, "the repeat")
    assert receiver.accepted()[0] == receiver.accepted()[1]
    assert marks == [None, "1"]


def test_a_time_is_sent_again_in_order(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """Also what was delivered, and what happened before anybody subscribed; by type."""
    since = utc_now()
    session = hospital.session()
    hospital.happen(session.id, 4)
    eventually(lambda: hospital.is_handed_on(session.id), "what nobody subscribed to yet")
    hook = hospital.subscribe(receiver)
    hospital.happen(session.id, 2)
    eventually(lambda: len(receiver.accepted()) == 2, "what happened since")
    eventually(lambda: all(d.state == "delivered" for d in hospital.deliveries(hook)), "it is so")
    body = {"since": since.isoformat(), "until": (utc_now()).isoformat()}
    path = f"/webhooks/{hook}/redeliver"
    assert done(program.post(path, json=body), 202) == {"redelivered": 7}
    eventually(lambda: len(receiver.accepted()) == 9, "all of it")
    assert [event["sequence"] for event in receiver.accepted()[2:]] == [1, 2, 3, 4, 5, 6, 7]
    eventually(lambda: all(d.state == "delivered" for d in hospital.deliveries(hook)), "it is so")
    some = {**body, "types": ["session.created"]}
    assert done(program.post(path, json=some), 202) == {"redelivered": 1}
    problem(
        program.post(path, json={"since": body["until"], "until": body["since"]}),
        422, "range_not_in_order", "until",
    )  # fmt: skip


def test_while_a_secret_rotates_both_verify(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """The reference library takes a message with the old secret and with the new one; after the
    overlap with the new one only."""
    messages: list[tuple[dict[str, str], bytes]] = []
    take = receiver.take

    def keeping(headers: dict[str, str], body: bytes) -> int:
        messages.append((headers, body))
        return take(headers, body)

    receiver.take = keeping  # type: ignore[method-assign]
    hook = hospital.subscribe(receiver)
    old = receiver.secret
    rotated = done(program.post(f"/webhooks/{hook}/rotate-secret", json={"overlap_s": 3600}))
    new = rotated["secret"]
    assert rotated["previous_secret_until"]
    session = hospital.session()
    eventually(lambda: len(receiver.accepted()) == 1, "an event in the overlap")
    headers, body = messages[-1]
    assert len(headers["webhook-signature"].split()) == 2
    for secret in (old, new):
        Webhook(secret).verify(body, headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(base64.b64encode(bytes(32)).decode()).verify(body, headers)

    with hospital.services.database.begin() as db:
        db.execute(
            update(WebhookSubscription)
            .where(WebhookSubscription.id == hook)
            .values(previous_secret_until=utc_now() - timedelta(seconds=1))
        )
    receiver.secret = new
    hospital.happen(session.id)
    eventually(lambda: len(receiver.accepted()) == 2, "an event after the overlap")
    headers, body = messages[-1]
    with pytest.raises(WebhookVerificationError):
        Webhook(old).verify(body, headers)
    assert receiver.invalid == 0


def test_a_test_tells_what_the_receiver_did(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """At once, signed, also while paused; what went wrong is said in words."""
    hook = hospital.subscribe(receiver, ["session.ended"])
    done(program.post(f"/webhooks/{hook}/pause"))
    answer = done(program.post(f"/webhooks/{hook}/test"))
    assert (answer["delivered"], answer["status"], answer["code"]) == (True, 204, "")
    (event,) = receiver.accepted()
    assert (event["type"], event["data"]) == ("webhook.test", {"webhook_id": str(hook)})
    receiver.answer = lambda event: 418
    answer = done(program.post(f"/webhooks/{hook}/test"))
    assert (answer["delivered"], answer["status"], answer["code"]) == (False, 418, "http_418")
    assert answer["detail"]
    nobody = done(program.post("/webhooks", json={"url": "http://127.0.0.1:9/"}), 201)["id"]
    answer = done(program.post(f"/webhooks/{nobody}/test"))
    assert (answer["status"], answer["code"]) == (None, "no_connection")


def test_patterns_and_roles_choose(
    hospital: Hospital, receiver: Receiver, program: Program
) -> None:
    """A family of types, and of people's events only some roles."""
    body = {"url": receiver.url, "event_types": ["participant.*", "session.ended"]}
    made = done(program.post("/webhooks", json={**body, "roles": ["doctor"]}), 201)
    receiver.secret = made["secret"]
    session = hospital.session()
    hospital.invite(session, None)
    people = f"/sessions/{session.id}/participants"
    done(program.post(people, json={"role": "doctor", "display_name": "D"}), 201)
    done(program.post(f"/sessions/{session.id}/end"), 202)
    eventually(lambda: len(receiver.accepted()) == 2, "the two that are wanted")
    assert [e["type"] for e in receiver.accepted()] == ["participant.invited", "session.ended"]
    assert receiver.accepted()[0]["data"]["role"] == "doctor"


ACTIONS = ("pause", "resume", "rotate-secret", "test", "redeliver", "deliveries/{id}/redeliver")
RANGE = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}


def body_of(action: str) -> dict[str, Any]:
    """Return what an action needs."""
    return {"json": RANGE} if action == "redeliver" else {}


@pytest.mark.parametrize("action", ACTIONS)
def test_what_is_refused(app: Flask, services: Services, action: str) -> None:
    """Without the scope, of another organisation, of a subscription that is switched off."""
    alice = admit_hospital(app, services, "A")
    charlie = admit_hospital(app, services, "C")
    reader = admit_hospital(app, services, "R", scopes=["events:read"])
    hook = done(alice.post("/webhooks", json={"url": "https://a.example/"}), 201)["id"]
    path = f"/webhooks/{hook}/{action}".replace("{id}", str(UUID(int=1)))
    problem(reader.post(path, **body_of(action)), 403, "scope_missing")
    problem(charlie.post(path, **body_of(action)), 404, "webhook_not_found")
    assert alice.delete(f"/webhooks/{hook}").status_code == 204
    problem(alice.post(path, **body_of(action)), 409, "webhook_inactive")


def test_an_unknown_delivery_is_not_found(app: Flask, services: Services) -> None:
    """404, as for one of another subscription."""
    alice = admit_hospital(app, services, "A")
    hook = done(alice.post("/webhooks", json={"url": "https://a.example/"}), 201)["id"]
    path = f"/webhooks/{hook}/deliveries/{UUID(int=1)}/redeliver"
    problem(alice.post(path), 404, "delivery_not_found")
