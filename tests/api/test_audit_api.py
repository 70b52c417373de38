"""`GET /audit` and its export: an organisation's own entries, for who may, and never unseen."""

import itertools
import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent
from flask import Flask
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.models import AuditEntry
from app.audit.search import ask, look
from app.audit.service import Actor
from app.clock import utc_now
from app.services import Services
from tests.api.hospital import Hospital, admit_hospital
from tests.api.problems import problem
from tests.api.records import audit_of, code_of


def acts(hospital: Hospital) -> dict[str, Any]:
    """Do some things that leave entries; return who they were about."""
    session = hospital.new_session()
    person = hospital.invite(session["id"], "doctor")
    visitor = hospital.app.test_client()
    visitor.post(f"/j/{code_of(person)}/token")
    hospital.delete(f"/sessions/{session['id']}/participants/{person['id']}")
    visitor.post(f"/j/{code_of(person)}/token")
    return {"session_id": session["id"], "participant_id": person["id"]}


def items(hospital: Hospital, **query: Any) -> list[dict[str, Any]]:
    """Read one page of the log."""
    answer = hospital.get("/audit", query_string=query)
    assert answer.status_code == 200, answer.text
    return list(answer.get_json()["items"])


def shown(entries: Sequence[dict[str, Any]]) -> list[str]:
    """Return what was done, as a word each."""
    return [entry["action"] for entry in entries]


class TestReading:
    """`GET /audit`."""

    def test_it_shows_what_was_done(self, alice: Hospital) -> None:
        """Newest first, and this very reading before all others."""
        about = acts(alice)
        found = items(alice)
        assert found[0]["action"] == "audit.read"
        assert {
            "session.created",
            "participant.invited",
            "link.opened",
            "participant.removed",
        } <= set(shown(found))
        removed = next(one for one in found if one["action"] == "participant.removed")
        assert {name: removed[name] for name in about} == about
        assert (removed["actor_kind"], removed["actor_id"]) == ("client", str(alice.client_id))
        moments = [one["at"] for one in found]
        assert moments == sorted(moments, reverse=True)

    def test_conditions_are_met_together(self, alice: Hospital) -> None:
        """Each narrows the page, and what does not fit is not on it."""
        about, other = acts(alice), acts(alice)
        for name in ("session_id", "participant_id"):
            found = items(alice, **{name: about[name]})
            assert found
            assert {one[name] for one in found} == {about[name]}
            assert other[name] != about[name]
        refused = items(alice, outcome="refused", **about)
        assert shown(refused) == ["link.opened"]
        assert items(alice, outcome="refused", action="participant.invited") == []
        mine = items(alice, actor_kind="client", actor_id=str(alice.client_id), limit=200)
        assert {one["actor_kind"] for one in mine} == {"client"}
        middle = mine[len(mine) // 2]["at"]
        assert all(one["at"] < middle for one in items(alice, until=middle))
        assert all(one["at"] >= middle for one in items(alice, since=middle))

    def test_pages_hold_each_entry_once(self, alice: Hospital) -> None:
        """Though each page read adds an entry of its own, at the other end."""
        acts(alice)
        before = {str(entry.id) for entry in audit_of_hospital(alice)}
        seen: list[str] = []
        cursor: str | None = None
        while True:
            query = {"limit": 2, **({"cursor": cursor} if cursor else {})}
            page = alice.get("/audit", query_string=query).get_json()
            seen += [one["id"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == len(set(seen))
        assert before <= set(seen)

    def test_pages_go_back_beyond_the_last_month(self, services: Services, alice: Hospital) -> None:
        """Entries months apart, and in the partition for all the rest."""
        with services.database.begin() as db:
            for months in range(12):
                audit.record(
                    db,
                    action="test.past",
                    actor=Actor("room"),
                    now=utc_now() - timedelta(days=40 * months),
                    organisation_id=alice.organisation_id,
                )
        seen: list[str] = []
        cursor: str | None = None
        while True:
            query = {"limit": 5, "action": "test.past", **({"cursor": cursor} if cursor else {})}
            page = alice.get("/audit", query_string=query).get_json()
            seen += [one["at"] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert len(seen) == 12
        assert seen == sorted(set(seen), reverse=True)

    def test_another_hospital_sees_nothing_of_it(self, alice: Hospital, charlie: Hospital) -> None:
        """Not by asking for everything, nor by an id."""
        about = acts(alice)
        hers = {one["id"] for one in items(alice, limit=200)}
        assert not hers & {one["id"] for one in items(charlie, limit=200)}
        found = items(charlie, session_id=about["session_id"])
        # That Charlie asked for the session is Charlie's own entry.
        assert shown(found) == ["audit.read"]

    def test_only_the_scope_opens_it(self, app: Flask, services: Services, alice: Hospital) -> None:
        """All other scopes together do not, and the attempt is an entry."""
        from app.web.auth import SCOPES

        others = [scope for scope in SCOPES if scope != "audit:read"]
        curious = admit_hospital(app, services, "Curious", scopes=others)
        span = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
        problem(curious.get("/audit"), 403, "scope_missing")
        problem(curious.get("/audit/export", query_string=span), 403, "scope_missing")
        refused = [e for e in audit_of(services, curious.organisation_id) if e.outcome == "refused"]
        assert [e.action for e in refused] == ["api.called", "api.called"]

    def test_what_was_asked_for_is_noted_by_name_only(
        self, services: Services, alice: Hospital
    ) -> None:
        """A condition may hold whatever its caller writes there."""
        about = acts(alice)
        items(alice, actor_id="Sam Rivera", session_id=about["session_id"])
        entry = audit_of(services, alice.organisation_id)[-1]
        assert entry.detail == {"conditions": ["actor_id", "session_id"]}
        assert str(entry.session_id) == about["session_id"]

    @pytest.mark.parametrize(
        "query",
        [{"outcome": "maybe"}, {"since": "yesterday"}, {"session_id": "1"}, {"cursor": "x"}],
    )
    def test_what_cannot_be_meant_is_refused(self, alice: Hospital, query: dict[str, str]) -> None:
        """As everywhere."""
        assert alice.get("/audit", query_string=query).status_code in (400, 422)


def audit_of_hospital(hospital: Hospital) -> Sequence[Any]:
    """Return the entries of a hospital, straight from the database."""
    from app.web.services import current_services

    with hospital.app.app_context():
        return audit_of(current_services(), hospital.organisation_id)


SHAPES: dict[str, tuple[Any, ...]] = {
    "session_id": (UUID("01900000-0000-7000-8000-000000000001"), UUID(int=1), None),
    "participant_id": (UUID("01900000-0000-7000-8000-000000000002"), UUID(int=2), None),
    "actor_id": ("a", "b", None),
    "actor_kind": ("client", "participant", "operator"),
    "action": ("test.one", "test.two", "test.three"),
    "outcome": ("done", "refused"),
}
WHAT = {name: values[:2] for name, values in SHAPES.items()}
COMBINATIONS = [
    names for number in range(1, len(WHAT) + 1) for names in itertools.combinations(WHAT, number)
]


@pytest.fixture(scope="module")
def many(services: Services) -> tuple[UUID, list[dict[str, Any]]]:
    """An organisation with entries of all shapes, some of them years old; newest first."""
    organisation_id, draw, now = uuid4(), random.Random(7), utc_now()
    made = [{name: draw.choice(of) for name, of in SHAPES.items()} for _ in range(240)]
    with services.database.begin() as db:
        for number, entry in enumerate(made):
            audit.record(
                db,
                action=entry["action"],
                actor=Actor(entry["actor_kind"], entry["actor_id"]),
                now=now - timedelta(hours=number // 2 * (1 if number < 120 else 60)),
                organisation_id=organisation_id,
                session_id=entry["session_id"],
                participant_id=entry["participant_id"],
                refused=entry["outcome"] == "refused",
            )
    return organisation_id, made


def looked_for(db: Session, of: UUID, limit: int, **wanted: Any) -> Iterator[AuditEntry]:
    """Yield what all pages hold, of which each comes from a look at 12 entries."""
    cursor: str | None = None
    while True:
        question = ask(of, cursor=cursor, **{"since": None, "until": None, **wanted})
        page = look(db, question, now=utc_now(), limit=limit, most=12)
        assert len(page.items) <= limit
        yield from page.items
        if page.next_cursor is None:
            return
        assert page.next_cursor != cursor
        cursor = page.next_cursor


@pytest.mark.parametrize("names", COMBINATIONS, ids="-".join)
def test_whatever_is_asked_for_is_found_in_order_and_nothing_else(
    services: Services, many: tuple[UUID, list[dict[str, Any]]], names: tuple[str, ...]
) -> None:
    """Every combination of conditions, page by page, however little each page looks at."""
    organisation_id, made = many
    with services.database.begin() as db:
        for number in range(2):
            wanted = {name: WHAT[name][number] for name in names}
            found = list(looked_for(db, organisation_id, 5, **wanted))
            expected = [one for one in made if wanted.items() <= one.items()]
            assert len(found) == len({entry.id for entry in found}) == len(expected)
            order = [(entry.at, entry.id) for entry in found]
            assert order == sorted(order, reverse=True)
            assert all(getattr(e, n) == v for e in found for n, v in wanted.items())


def test_a_span_of_time_is_kept_to(
    services: Services, many: tuple[UUID, list[dict[str, Any]]]
) -> None:
    """With and without another condition, from its first moment on and without its last."""
    organisation_id, made = many
    with services.database.begin() as db:
        everything = list(looked_for(db, organisation_id, 50))
        assert len(everything) == len(made)
        span = {"since": everything[200].at, "until": everything[20].at}
        inside = [e for e in everything if span["since"] <= e.at < span["until"]]
        assert list(looked_for(db, organisation_id, 7, **span)) == inside
        operators = [entry for entry in inside if entry.actor_kind == "operator"]
        assert list(looked_for(db, organisation_id, 7, actor_kind="operator", **span)) == operators


def test_an_id_of_the_far_future_finds_nothing(alice: Hospital) -> None:
    """Whatever a caller sends as an id tells of some moment, which the calendar need not have."""
    assert items(alice, session_id="ffffffff-ffff-7fff-bfff-ffffffffffff") == []
    assert items(alice, session_id="ffffffff-ffff-7fff-bfff-ffffffffffff", until=utc_now()) == []


class TestExport:
    """`GET /audit/export`."""

    def span(self) -> dict[str, str]:
        """Return today."""
        now = utc_now()
        since, until = now - timedelta(days=1), now + timedelta(days=1)
        return {"since": since.isoformat(), "until": until.isoformat()}

    def test_it_streams_the_entries_as_json(
        self, services: Services, alice: Hospital, charlie: Hospital
    ) -> None:
        """Oldest first, one per line, the export itself the last; none of another hospital's."""
        acts(alice)
        acts(charlie)
        answer = alice.get("/audit/export", query_string=self.span())
        assert answer.status_code == 200
        assert answer.mimetype == "application/x-ndjson"
        exported = [orjson.loads(line) for line in answer.data.splitlines()]
        kept = audit_of(services, alice.organisation_id)
        assert [one["id"] for one in exported] == [str(entry.id) for entry in kept]
        assert exported[-1]["action"] == "audit.exported"
        assert not {"proof", "key_id", "xid"} & set(exported[0])

    def test_a_long_export_comes_in_pieces(self, services: Services, alice: Hospital) -> None:
        """More entries than are held at a time."""
        with services.database.begin() as db:
            for _ in range(350):
                audit.record(
                    db,
                    action="test.many",
                    actor=Actor("room"),
                    now=utc_now(),
                    organisation_id=alice.organisation_id,
                )
        answer = alice.get("/audit/export", query_string=self.span(), buffered=False)
        pieces = list(answer.iter_encoded())
        assert len(pieces) > 3
        assert b"".join(pieces).count(b"test.many") == 350

    def test_a_fhir_library_accepts_each_event(self, services: Services, alice: Hospital) -> None:
        """R4, in the patterns of BALP: who asked, what did it, on what, and how it ended."""
        about = acts(alice)
        alice.app.test_client().post(
            "/oauth/token",
            data={
                "grant_type": "client_credentials",
                "client_id": str(alice.client_id),
                "client_secret": alice.client_secret,
            },
        )
        answer = alice.get("/audit/export", query_string={**self.span(), "format": "fhir"})
        assert answer.mimetype == "application/fhir+ndjson"
        lines = answer.data.splitlines()
        events = [AuditEvent.model_validate_json(line) for line in lines]
        assert [event.id for event in events] == [
            str(entry.id) for entry in audit_of(services, alice.organisation_id)
        ]
        for event, line in zip(events, lines, strict=True):
            assert orjson.loads(event.model_dump_json()).keys() == orjson.loads(line).keys()
            assert [agent.requestor for agent in event.agent] == [True, False]
        shown = [orjson.loads(event.model_dump_json()) for event in events]
        by_action = {event["subtype"][-1]["code"]: event for event in shown}
        assert by_action["client.signed_in"]["type"]["code"] == "110114"
        removed = by_action["participant.removed"]
        assert (removed["action"], removed["outcome"]) == ("D", "0")
        ids = {entity["what"]["identifier"]["value"] for entity in removed["entity"]}
        assert {f"urn:uuid:{id_}" for id_ in about.values()} <= ids
        opened = [event for event in shown if event["subtype"][-1]["code"] == "link.opened"]
        assert [event["outcome"] for event in opened] == ["0", "4"]

    @pytest.mark.parametrize(
        "change",
        [
            {"until": "2026-01-01T00:00:00Z", "since": "2026-01-01T00:00:00Z"},
            {"until": "2026-12-01T00:00:00Z", "since": "2026-01-01T00:00:00Z"},
            {"format": "xml"},
        ],
    )
    def test_it_is_bounded(self, alice: Hospital, change: dict[str, str]) -> None:
        """A quarter of a year at most, and no form of somebody's own."""
        query = {**self.span(), **change}
        assert alice.get("/audit/export", query_string=query).status_code in (400, 422)
        assert alice.get("/audit/export").status_code in (400, 422)
