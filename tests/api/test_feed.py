"""`GET /events`: who follows the cursor sees each event once, in order, however late it commits."""

import random
import threading
from typing import Any
from uuid import UUID, uuid4

import pytest
from flask import Flask
from jsonschema import Draft202012Validator
from sqlalchemy import text

from app.clock import utc_now
from app.events import feed
from app.events.service import append
from app.events.types import EVENT_TYPES
from app.localstack.process import wait_until
from app.services import Services
from tests.api.hospital import Hospital, admit_hospital
from tests.api.problems import problem
from workers.relay import relay_events

WRITERS, EACH, SESSIONS = 50, 6, 8


def relay(services: Services) -> None:
    """Hand on everything there is, as the relay does."""
    handed_on = 1
    while handed_on:
        with services.database.begin() as db:
            handed_on = relay_events(db, limit=100, now=utc_now()).events


def happen(services: Services, session_id: str, db: Any = None) -> UUID:
    """Append an event, in a transaction of its own unless one is given."""
    said: dict[str, Any] = {
        "session_id": UUID(session_id),
        "data": {"reference": None, "changed": []},
        "now": utc_now(),
    }
    if db is not None:
        return append(db, "session.updated", **said)
    with services.database.begin() as own:
        return append(own, "session.updated", **said)


def read(hospital: Hospital, after: str | None = None, **query: Any) -> dict[str, Any]:
    """Read one page."""
    if after is not None:
        query["after"] = after
    answer = hospital.get("/events", query_string=query)
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def follow(hospital: Hospital, after: str = "0", **query: Any) -> tuple[list[Any], str]:
    """Read to the end, in pages; return the events and the cursor."""
    items: list[Any] = []
    while True:
        page = read(hospital, after, **query)
        items += page["items"]
        after = page["next_after"]
        if not page["has_more"]:
            return items, after


def test_the_feed_is_what_happened_in_order(alice: Hospital, services: Services) -> None:
    """Envelope as a webhook's, with the position beside it."""
    session = alice.new_session(reference="v-1")
    person = alice.invite(session["id"])
    relay(services)
    items, after = follow(alice, limit=1)
    assert [item["type"] for item in items] == ["session.created", "participant.invited"]
    assert [item["sequence"] for item in items] == [1, 2]
    assert items[0]["position"] < items[1]["position"] == int(after)
    assert items[1]["data"]["participant_id"] == person["id"]
    assert set(items[0]) == {
        "id", "type", "timestamp", "sequence", "organisation_id", "data", "position",
    }  # fmt: skip
    assert read(alice, after) == {"items": [], "next_after": after, "has_more": False}


def test_an_older_transaction_that_commits_late_is_not_skipped(
    alice: Hospital, services: Services
) -> None:
    """Its id and its time are older than what the reader has seen; its position is not."""
    early, late = alice.new_session()["id"], alice.new_session()["id"]
    relay(services)
    _, after = follow(alice)
    with services.database.begin() as open_for_long:
        first = happen(services, early, open_for_long)
        second = happen(services, late)
        relay(services)
        seen, after = follow(alice, after)
        assert [item["id"] for item in seen] == [str(second)]
    assert first < second
    relay(services)
    rest, _ = follow(alice, after)
    assert [item["id"] for item in rest] == [str(first)]


def test_fifty_writers_and_one_reader(alice: Hospital, services: Services) -> None:
    """Commits come in any order; the reader that follows has each event once, sessions in order."""
    sessions = [alice.new_session()["id"] for _ in range(SESSIONS)]
    relay(services)
    _, after = follow(alice)
    written: set[str] = set()
    gate = threading.Semaphore(services.settings.database_pool_size - 1)

    def write(number: int) -> None:
        dice = random.Random(number)
        for _ in range(EACH):
            with gate, services.database.begin() as db:
                event = happen(services, dice.choice(sessions), db)
                db.execute(text("SELECT pg_sleep(:s)"), {"s": dice.random() * 0.01})
            written.add(str(event))

    threads = [threading.Thread(target=write, args=(number,)) for number in range(WRITERS)]
    for thread in threads:
        thread.start()
    seen: list[Any] = []

    def all_seen() -> bool:
        nonlocal after
        relay(services)
        items, after = follow(alice, after, limit=7)
        seen.extend(items)
        return len(seen) >= WRITERS * EACH and not any(t.is_alive() for t in threads)

    assert wait_until(all_seen, 60)
    assert sorted(item["id"] for item in seen) == sorted(written)
    for session in sessions:
        numbers = [i["sequence"] for i in seen if i["data"]["session_id"] == session]
        assert numbers == list(range(2, len(numbers) + 2))


def test_filters_by_type_pattern_and_session(alice: Hospital, services: Services) -> None:
    """As webhooks filter."""
    session, other = alice.new_session()["id"], alice.new_session()["id"]
    alice.invite(session)
    alice.invite(other)
    relay(services)

    def types(**query: Any) -> list[str]:
        return [item["type"] for item in follow(alice, limit=1, **query)[0]]

    assert types(types="participant.*") == ["participant.invited"] * 2
    assert types(types="session.created,link.*") == ["session.created"] * 2
    assert types(session_id=session) == ["session.created", "participant.invited"]
    assert types(session_id=session, types="participant.*") == ["participant.invited"]


def test_a_rare_type_is_looked_for_step_by_step(alice: Hospital, services: Services) -> None:
    """A page costs the same however rare the type is, and the cursor moves on."""
    session = alice.new_session()["id"]
    with services.database.begin() as db:
        for _ in range(feed.WINDOW):
            happen(services, session, db)
    alice.invite(session)
    relay(services)
    first = read(alice, types="participant.*")
    assert (first["items"], first["has_more"]) == ([], True)
    items, _ = follow(alice, first["next_after"], types="participant.*")
    assert [item["type"] for item in items] == ["participant.invited"]


def test_no_page_reads_the_whole_table(alice: Hospital, services: Services) -> None:
    """Each kind of page goes along an index."""
    with services.database.begin() as db:
        db.execute(text("SET LOCAL enable_seqscan = off"))
        for where in (
            "organisation_id = :o AND position > 5 ORDER BY position LIMIT 10",
            "organisation_id = :o AND position > 5 AND session_id = :o ORDER BY sequence LIMIT 10",
            "position > 5 ORDER BY position LIMIT 10",
        ):
            plan = db.execute(
                text(f"EXPLAIN SELECT * FROM teleconference.events WHERE {where}"),
                {"o": alice.organisation_id} if ":o" in where else {},
            )
            shown = "\n".join(row[0] for row in plan)
            assert "Index" in shown, shown
            assert "Seq Scan" not in shown, shown


@pytest.mark.parametrize(
    ("query", "code", "field"),
    [
        ({"after": "abc"}, "cursor_invalid", "after"),
        ({"after": "-1"}, "cursor_invalid", "after"),
        ({"after": "9" * 19}, "cursor_invalid", "after"),
        ({"types": "participant.exploded"}, "invalid_request", "types"),
        ({"types": ""}, "invalid_request", "types"),
        ({"session_id": "x"}, "invalid_request", "session_id"),
        ({"limit": 0}, "invalid_request", "limit"),
        ({"colour": "green"}, "invalid_request", "colour"),
    ],
)
def test_what_cannot_be_meant_is_refused(
    alice: Hospital, query: Any, code: str, field: str
) -> None:
    """422 with the field."""
    answer = alice.get("/events", query_string=query)
    body = answer.get_json()
    assert (answer.status_code, body["code"]) == (422, code)
    assert body["field"] == field


def test_another_hospital_sees_nothing(
    alice: Hospital, charlie: Hospital, services: Services
) -> None:
    """Not with Alice's cursor, nor with her session."""
    session = alice.new_session()["id"]
    relay(services)
    assert follow(charlie)[0] == []
    assert follow(charlie, session_id=session)[0] == []


def test_the_feed_needs_its_scope(app: Flask, services: Services) -> None:
    """Whoever may subscribe addresses may not read everything."""
    hospital = admit_hospital(app, services, "Dora Practice", scopes=["webhooks:manage"])
    problem(hospital.get("/events"), 403, "scope_missing")
    assert app.test_client().get("/events").status_code == 401


def test_every_type_is_described_with_schema_and_example(alice: Hospital) -> None:
    """A program can check what it receives; the example fits its schema, another type does not."""
    items = alice.get("/events/types").get_json()["items"]
    assert [item["name"] for item in items] == list(EVENT_TYPES)
    for item in items:
        Draft202012Validator.check_schema(item["schema"])
        schema = Draft202012Validator(item["schema"])
        schema.validate(item["example"])
        wrong = {**item["example"], "data": {**item["example"]["data"], "name": "Sam"}}
        assert not schema.is_valid(wrong)
        assert not schema.is_valid({**item["example"], "type": f"not.{uuid4()}"})
