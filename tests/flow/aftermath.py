"""After the crashes: everything that was promised is there, in order, and nothing is stuck."""

from typing import Any
from uuid import UUID

import requests
from sqlalchemy import text

from tests.flow.clinic import Clinic, until
from tests.flow.delivery import Receiver, first_sequences
from tests.flow.load import Promised

# The slowest repair: a claim of a dead worker runs out after 11 s, and the sweep finds it.
RECOVERED_WITHIN_S = 45.0

EVENTS = text("""
    SELECT session_id::text, array_agg(sequence ORDER BY sequence) AS sequences,
           array_agg(id::text) AS ids
    FROM teleconference.events WHERE session_id = ANY(:sessions) GROUP BY session_id""")
PENDING = {
    "events not relayed": """
        SELECT count(*) FROM teleconference.events
        WHERE session_id = ANY(:sessions) AND relayed_at IS NULL""",
    "deliveries": """
        SELECT count(*) FROM teleconference.webhook_deliveries
        WHERE session_id = ANY(:sessions) AND state = 'pending'""",
    "notifications": """
        SELECT count(*) FROM teleconference.notifications n
        JOIN teleconference.events e ON e.id = n.event_id
        WHERE e.session_id = ANY(:sessions) AND n.state = 'pending'
          -- A lost connection is told a minute later, if it is still true then.
          AND n.next_attempt_at < now() + interval '5 seconds'""",
    "orders to rooms": """
        SELECT count(*) FROM teleconference.room_commands
        WHERE session_id = ANY(:sessions) AND state = 'pending'""",
    "stays": """
        SELECT count(*) FROM teleconference.attendance
        WHERE session_id = ANY(:sessions) AND left_at IS NULL""",
}
# One statement, hence one moment: the end of one of these may be the beginning of another.
UNDER_WAY = text(
    " UNION ALL ".join(
        f"SELECT '{name}' AS name, ({query}) AS how_many" for name, query in PENDING.items()
    )
)
FAILED = text("""
    SELECT (SELECT count(*) FROM teleconference.room_commands
             WHERE session_id = ANY(:sessions) AND state = 'failed'
               -- One that gave way to a newer order about the same person is not lost.
               AND result -> 'dropped' IS NULL)
         + (SELECT count(*) FROM teleconference.webhook_deliveries
             WHERE session_id = ANY(:sessions) AND state = 'failed')""")
PEOPLE = text("""
    SELECT p.id::text, p.reference, p.state FROM teleconference.participants p
    WHERE p.session_id = ANY(:sessions)""")
SESSIONS = text("SELECT id::text, state FROM teleconference.sessions WHERE id = ANY(:sessions)")
STAYS = text("""
    SELECT participant_id::text, count(*) FROM teleconference.attendance
    WHERE session_id = ANY(:sessions) GROUP BY participant_id""")


def expect_healthy(clinic: Clinic) -> None:
    """All parts run, and the service says that it is well."""
    clinic.stack.check()

    def is_well() -> bool:
        answer = requests.get(f"{clinic.stack.api_url}/health", timeout=10)
        return bool(answer.ok and answer.json()["status"] == "ok")

    assert until(is_well, RECOVERED_WITHIN_S), "the service does not feel well"


def expect_nothing_stuck(clinic: Clinic, promised: Promised) -> None:
    """Wait until nothing is under way any more, and demand that nothing was given up."""
    left: dict[str, int] = {}

    def is_done() -> bool:
        left.update({row.name: row.how_many for row in _rows(clinic, UNDER_WAY, promised)})
        return not any(left.values())

    assert until(is_done, RECOVERED_WITHIN_S), f"still under way: {left}"
    assert _count(clinic, FAILED, promised) == 0


def expect_states(clinic: Clinic, promised: Promised) -> None:
    """Who was promised a place has one, and only one; who was put out stays out."""
    people = _rows(clinic, PEOPLE, promised)
    assert sorted(row.id for row in people) == sorted(promised.people)
    assert len({row.reference for row in people}) == len(people)
    states = {row.id: row.state for row in people}
    assert {states[one] for one in promised.removed} <= {"removed"}
    sessions = {row.id: row.state for row in _rows(clinic, SESSIONS, promised)}
    assert sessions.keys() == set(promised.sessions)
    assert {one for one, state in sessions.items() if state == "ended"} == set(promised.ended)


def expect_events(clinic: Clinic, promised: Promised, receiver: Receiver) -> None:
    """No gap in any session; the receiver has them all, first seen in order."""
    rows = _rows(clinic, EVENTS, promised)
    assert {row.session_id for row in rows} == set(promised.sessions)
    for row in rows:
        assert row.sequences == list(range(1, len(row.sequences) + 1))
    ids = {event_id for row in rows for event_id in row.ids}
    assert ids <= receiver.accepted_ids()
    order = first_sequences(receiver.accepted())
    assert {row.session_id: order[row.session_id] for row in rows} == {
        row.session_id: row.sequences for row in rows
    }
    assert receiver.invalid == 0


def expect_mails(clinic: Clinic, promised: Promised) -> None:
    """Everybody whose address was taken has been written to."""
    written = "".join(path.read_text() for path in clinic.stack.mail.mails())
    assert [one for one in promised.addresses if f"X-Envelope-To: {one}" not in written] == []


def expect_attendance(clinic: Clinic, promised: Promised) -> None:
    """Each entry is one stay. Holds while Prosody lives: what it had not told yet dies with it."""
    stays = {row[0]: row[1] for row in _rows(clinic, STAYS, promised)}
    assert stays == dict(promised.entries)


def pending_orders(clinic: Clinic, session_id: str) -> int:
    """Return how many orders about one session its room has not confirmed."""
    return _count(clinic, text(PENDING["orders to rooms"]), Promised(sessions=[session_id]))


def _rows(clinic: Clinic, query: Any, promised: Promised) -> list[Any]:
    sessions = [UUID(one) for one in promised.sessions]
    with clinic.services.database.begin() as db:
        return list(db.execute(query, {"sessions": sessions}))


def _count(clinic: Clinic, query: Any, promised: Promised) -> int:
    return int(_rows(clinic, query, promised)[0][0])
