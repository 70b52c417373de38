"""`Idempotency-Key`: a write that is repeated happens once and answers as it did."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import timedelta
from threading import Barrier
from typing import Any
from uuid import uuid4

import pytest
from sqlalchemy import select, text
from werkzeug.test import TestResponse

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.services import Services
from app.web.auth import issue_token
from app.web.models import IdempotencyKey
from tests.api.hospital import Hospital
from tests.api.records import alter, code_of, orders_of, types_of


@pytest.fixture
def key() -> dict[str, str]:
    """The header with a key of this test's own."""
    return {"Idempotency-Key": str(uuid4())}


def invite(hospital: Hospital, session: str, key: dict[str, str], **body: Any) -> TestResponse:
    """Invite somebody under a key."""
    person = {"role": "doctor", "display_name": "Dr. Alice", **body}
    return hospital.post(f"/sessions/{session}/participants", json=person, headers=key)


def stored(services: Services, key: dict[str, str]) -> list[IdempotencyKey]:
    """Return the rows kept for a key, of all hospitals."""
    query = select(IdempotencyKey).where(IdempotencyKey.key == key["Idempotency-Key"])
    with services.database.begin() as db:
        return list(db.scalars(query))


def test_a_repeat_gets_the_first_answer_and_does_nothing(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """Body, status, ETag and all, and it says that it is a repeat. The link is shown again: the
    first answer may never have arrived."""
    session = alice.new_session()["id"]
    first, second = invite(alice, session, key), invite(alice, session, key)
    assert (second.status_code, second.data) == (first.status_code, first.data)
    for header in ("ETag", "Content-Type"):
        assert second.headers[header] == first.headers[header]
    assert "Idempotency-Replayed" not in first.headers
    assert second.headers["Idempotency-Replayed"] == "true"
    assert types_of(services, session).count("participant.invited") == 1


def test_the_same_key_with_another_body_is_a_mistake(alice: Hospital, key: dict[str, str]) -> None:
    """409; so is another address, and nothing is done."""
    session, other = alice.new_session()["id"], alice.new_session()["id"]
    invite(alice, session, key)
    for answer in (
        invite(alice, session, key, display_name="Dr. Bob"),
        invite(alice, other, key),
        alice.post("/sessions", json={}, headers=key),
    ):
        assert (answer.status_code, answer.get_json()["code"]) == (409, "idempotency_key_reused")
        assert answer.get_json()["field"] == "Idempotency-Key"
    assert alice.get(f"/sessions/{other}/participants").get_json()["items"] == []


def test_another_key_is_another_intention(alice: Hospital) -> None:
    """Two people of the same name."""
    session = alice.new_session()["id"]
    people = {
        invite(alice, session, {"Idempotency-Key": name}).get_json()["id"] for name in ("a", "b")
    }
    assert len(people) == 2


def test_another_hospitals_key_is_its_own(
    alice: Hospital, charlie: Hospital, key: dict[str, str]
) -> None:
    """Nobody gets the answer of somebody else by guessing a key."""
    hers = alice.post("/sessions", json={}, headers=key)
    his = charlie.post("/sessions", json={}, headers=key)
    assert (his.status_code, "Idempotency-Replayed" in his.headers) == (201, False)
    assert his.get_json()["id"] != hers.get_json()["id"]


def test_another_programs_key_opens_nothing(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """The same request with the same key, of the same hospital: the first answer holds a link that
    was given to the first alone."""
    session = alice.new_session()["id"]
    hers = invite(alice, session, key)
    token = issue_token(
        client_id=uuid4(),
        organisation_id=alice.organisation_id,
        scopes=["participants:write"],
        secret=services.settings.api_token_secret[0],
        ttl_s=60,
        now=utc_now(),
    )
    theirs = invite(replace(alice, token=token), session, key)
    assert (theirs.status_code, theirs.get_json()["code"]) == (409, "idempotency_key_reused")
    assert hers.get_json()["link"] not in theirs.get_data(as_text=True)


def test_simultaneous_repeats_have_one_effect(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """The second waits for the first and finds its answer."""
    session = alice.new_session()["id"]
    gate = Barrier(4)

    def begin(_: int) -> TestResponse:
        gate.wait()
        return invite(alice, session, key)

    with ThreadPoolExecutor(4) as pool:
        answers = list(pool.map(begin, range(4)))
    assert [answer.status_code for answer in answers] == [201] * 4
    assert len({answer.data for answer in answers}) == 1
    replayed = ["Idempotency-Replayed" in answer.headers for answer in answers]
    assert sorted(replayed) == [False, True, True, True]
    assert types_of(services, session).count("participant.invited") == 1


def test_an_error_is_not_kept(alice: Hospital, services: Services, key: dict[str, str]) -> None:
    """Who corrects the request may use the key again."""
    session = alice.new_session()["id"]
    wrong = invite(alice, session, key, role="king")
    assert wrong.status_code == 422
    assert stored(services, key) == []
    assert invite(alice, session, key).status_code == 201


def test_a_message_the_room_did_not_confirm_can_be_said_again(
    alice: Hospital, key: dict[str, str], live: MemoryRooms
) -> None:
    """503 is not kept either."""
    path = f"/sessions/{alice.new_session()['id']}/messages"
    live.alive = False
    assert alice.post(path, json={"text": "x"}, headers=key).status_code == 503
    live.alive = True
    assert alice.post(path, json={"text": "x"}, headers=key).status_code == 200


def test_a_decision_about_the_room_is_made_once(
    alice: Hospital, services: Services, key: dict[str, str], live: MemoryRooms
) -> None:
    """What is kept says 202, because it was written before the room was told."""
    session = alice.new_session()
    live.enter(session["room_name"], "somebody")
    path = f"/sessions/{session['id']}/end"
    first = alice.post(path, json={"reason": "Over."}, headers=key)
    second = alice.post(path, json={"reason": "Over."}, headers=key)
    assert (first.status_code, second.status_code) == (200, 202)
    assert second.data == first.data
    assert len(orders_of(services, session["id"])) == 1


def test_the_kept_answer_is_not_readable(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """It holds a link, so it is encrypted."""
    person = invite(alice, alice.new_session()["id"], key).get_json()
    (row,) = stored(services, key)
    assert row.answer is not None
    assert code_of(person).encode() not in row.answer
    assert b"display_name" not in row.answer
    assert code_of(person).encode() in services.vault.decrypt(row.answer)
    assert row.request_hash
    assert b"Alice" not in row.request_hash


@pytest.mark.parametrize("bad", ["", "x" * 201, "é", "\x7f"])
def test_a_key_that_is_none_is_refused(alice: Hospital, bad: str) -> None:
    """422; an empty key would make all requests the same one."""
    answer = alice.post("/sessions", json={}, headers={"Idempotency-Key": bad})
    assert (answer.status_code, answer.get_json()["code"]) == (422, "idempotency_key_invalid")
    assert answer.get_json()["field"] == "Idempotency-Key"


def test_kept_answers_are_forgotten_after_a_day(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """By the one function that may delete."""
    alice.post("/sessions", json={}, headers=key)
    forget(services)
    assert len(stored(services, key)) == 1
    alter(
        services,
        "UPDATE teleconference.idempotency_keys SET created_at = :then WHERE key = :key",
        then=utc_now() - timedelta(hours=25),
        key=key["Idempotency-Key"],
    )
    forget(services)
    assert stored(services, key) == []


def test_nobody_can_have_them_forgotten_early(
    alice: Hospital, services: Services, key: dict[str, str]
) -> None:
    """A wrong clock, or a thief with the service's own rights, deletes nothing that is young."""
    alice.post("/sessions", json={}, headers=key)
    forget(services, ahead=timedelta(days=365))
    assert len(stored(services, key)) == 1


def forget(services: Services, ahead: timedelta = timedelta(0)) -> None:
    """Delete what is old, as the relay does every day."""
    with services.database.begin() as db:
        purge = text("SELECT teleconference.purge_expired(:now)")
        db.execute(purge, {"now": utc_now() + ahead})
