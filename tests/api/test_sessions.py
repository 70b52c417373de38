"""Sessions over REST: planned, listed, changed. TST-TC001-1 as far as the API alone can show it."""

from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import pytest
from werkzeug.test import TestResponse

from app.clock import utc_now
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of, events_of, links_of, types_of

TOMORROW = utc_now().replace(microsecond=0) + timedelta(days=1)
PLAN = {
    "planned_start": TOMORROW.isoformat(),
    "planned_end": (TOMORROW + timedelta(minutes=30)).isoformat(),
}


def written(moment: Any) -> str:
    """Return a moment as the API writes it."""
    return str(moment.isoformat())


def change(
    hospital: Hospital, session: dict[str, Any], body: Any, etag: str | None = None
) -> TestResponse:
    """PATCH a session with the ETag of its version."""
    headers = {"If-Match": f'"{session["version"]}"' if etag is None else etag}
    return hospital.patch(f"/sessions/{session['id']}", json=body, headers=headers)


def test_a_session_without_a_plan_is_open_at_once(alice: Hospital) -> None:
    """TST-TC001-1."""
    session = alice.new_session()
    assert session["state"] == "active"
    assert session["started_at"] is not None
    assert session["planned_start"] is None
    assert (session["kind"], session["capacity"], session["version"]) == ("consultation", 10, 1)


def test_a_planned_session_waits_for_its_start(alice: Hospital) -> None:
    """It is there, with its plan, and nobody has started it."""
    session = alice.new_session(**PLAN, reference="visit-1", capacity=4)
    assert session["state"] == "scheduled"
    assert session["started_at"] is None
    assert session["planned_start"] == written(TOMORROW)
    assert (session["reference"], session["capacity"]) == ("visit-1", 4)


def test_an_emergency_is_a_kind_of_its_own(alice: Hospital) -> None:
    """Its permissions differ, so it is chosen when it is made."""
    assert alice.new_session(kind="emergency")["kind"] == "emergency"


def test_a_moment_is_the_same_in_every_zone(alice: Hospital) -> None:
    """What comes in any zone goes out in UTC."""
    session = alice.new_session(planned_start="2050-06-01T12:00:00+05:30")
    assert session["planned_start"] == "2050-06-01T06:30:00+00:00"


def test_a_room_name_says_nothing_and_is_no_other_rooms(alice: Hospital) -> None:
    """Twenty letters and digits Jitsi leaves as they are."""
    names = {alice.new_session(reference="Mrs-Smith")["room_name"] for _ in range(5)}
    assert len(names) == 5
    assert all(len(name) == 20 and name == name.lower() and name.isalnum() for name in names)


def test_a_session_is_read_with_its_live_state(alice: Hospital) -> None:
    """S1: as it was answered, and who is in its room."""
    session = alice.new_session()
    answer = alice.get(f"/sessions/{session['id']}")
    assert answer.status_code == 200
    assert answer.get_json() == {**session, "present": []}
    assert answer.headers["ETag"] == '"1"'


def test_creating_is_told_and_audited(alice: Hospital, services: Services) -> None:
    """One event, first in its session, and one entry with the client's name on it."""
    session = alice.new_session(reference="visit-2")
    (told,) = events_of(services, session["id"])
    assert (told.type, told.sequence) == ("session.created", 1)
    assert told.data == {
        "session_id": session["id"],
        "reference": "visit-2",
        "kind": "consultation",
        "state": "active",
    }
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.outcome) == ("session.created", "done")
    assert (entry.actor_kind, entry.actor_id) == ("client", str(alice.client_id))
    assert str(entry.session_id) == session["id"]


@pytest.mark.parametrize(
    ("body", "code", "field"),
    [
        ({"planned_end": PLAN["planned_end"]}, "plan_incomplete", "planned_start"),
        (
            {"planned_start": PLAN["planned_end"], "planned_end": PLAN["planned_start"]},
            "plan_not_in_order",
            "planned_end",
        ),
        (
            {"planned_start": PLAN["planned_start"], "planned_end": PLAN["planned_start"]},
            "plan_not_in_order",
            "planned_end",
        ),
    ],
)
def test_a_plan_that_cannot_be_meant_is_refused(
    alice: Hospital, body: dict[str, str], code: str, field: str
) -> None:
    """And no session is left behind."""
    answer = alice.post("/sessions", json=body)
    assert answer.status_code == 422
    assert (answer.get_json()["code"], answer.get_json()["field"]) == (code, field)
    assert alice.get("/sessions").get_json()["items"] == []


class TestListing:
    """`GET /sessions`."""

    def page(self, hospital: Hospital, **query: Any) -> dict[str, Any]:
        """Return one page."""
        answer = hospital.get("/sessions", query_string=query)
        assert answer.status_code == 200, answer.text
        return dict(answer.get_json())

    def test_the_newest_comes_first(self, alice: Hospital) -> None:
        """And an organisation without sessions has an empty last page."""
        assert self.page(alice) == {"items": [], "next_cursor": None}
        made = [alice.new_session() for _ in range(3)]
        assert self.page(alice) == {"items": made[::-1], "next_cursor": None}

    def test_filters_choose_by_state_kind_and_reference(self, alice: Hospital) -> None:
        """Alone and together."""
        planned = alice.new_session(**PLAN, reference="a")
        urgent = alice.new_session(kind="emergency", reference="a")
        alice.new_session(reference="b")
        chosen = [
            ({"state": "scheduled"}, [planned]),
            ({"kind": "emergency"}, [urgent]),
            ({"reference": "a"}, [urgent, planned]),
            ({"reference": "a", "state": "active"}, [urgent]),
            ({"reference": "a", "state": "ended"}, []),
        ]
        for query, expected in chosen:
            assert self.page(alice, **query)["items"] == expected, query

    def test_pages_hold_everything_once_while_sessions_are_added(self, alice: Hospital) -> None:
        """Keyset pages: what is added after the first page shifts nothing."""
        made = [alice.new_session()["id"] for _ in range(7)]
        walked: list[str] = []
        cursor: dict[str, str] = {}
        while True:
            page = self.page(alice, limit=2, **cursor)
            walked += [item["id"] for item in page["items"]]
            alice.new_session()
            if page["next_cursor"] is None:
                break
            cursor = {"cursor": page["next_cursor"]}
        assert walked == made[::-1]

    def test_sessions_made_in_the_same_instant_are_not_lost_between_pages(
        self, alice: Hospital, services: Services
    ) -> None:
        """The id decides between equal moments."""
        made = [alice.new_session()["id"] for _ in range(4)]
        with services.database.begin() as db:
            db.connection().exec_driver_sql(
                "UPDATE teleconference.sessions SET created_at = now() WHERE organisation_id = %s",
                (str(alice.organisation_id),),
            )
        first = self.page(alice, limit=2)
        second = self.page(alice, limit=2, cursor=first["next_cursor"])
        walked = [item["id"] for item in first["items"] + second["items"]]
        assert walked == sorted(made, reverse=True)
        assert second["next_cursor"] is None

    def test_a_full_last_page_has_no_next_one(self, alice: Hospital) -> None:
        """Nobody is sent for an empty page."""
        for _ in range(2):
            alice.new_session()
        assert self.page(alice, limit=2)["next_cursor"] is None

    def test_a_filter_goes_with_the_cursor(self, alice: Hospital) -> None:
        """The cursor says where, the query says what."""
        kept = [alice.new_session(reference="x")["id"] for _ in range(3)]
        alice.new_session(reference="y")
        first = self.page(alice, limit=2, reference="x")
        rest = self.page(alice, limit=2, reference="x", cursor=first["next_cursor"])
        assert [item["id"] for item in first["items"] + rest["items"]] == kept[::-1]


class TestChanging:
    """`PATCH /sessions/{id}`."""

    def test_only_what_is_named_changes(self, alice: Hospital, services: Services) -> None:
        """The version grows, and the change is told and audited without its values."""
        session = alice.new_session(**PLAN, reference="a")
        answer = change(alice, session, {"reference": "b", "capacity": 3})
        assert answer.status_code == 200
        assert answer.get_json() == {**session, "reference": "b", "capacity": 3, "version": 2}
        assert answer.headers["ETag"] == '"2"'
        assert types_of(services, session["id"])[-1] == "session.updated"
        assert audit_of(services, alice.organisation_id)[-1].detail == {
            "fields": ["capacity", "reference"]
        }

    @pytest.mark.parametrize("headers", [{}, {"If-Match": ""}])
    def test_without_if_match_nothing_is_changed(
        self, alice: Hospital, headers: dict[str, str]
    ) -> None:
        """428."""
        session = alice.new_session(**PLAN)
        answer = alice.patch(f"/sessions/{session['id']}", json={"capacity": 3}, headers=headers)
        assert (answer.status_code, answer.get_json()["code"]) == (428, "precondition_required")
        assert alice.get(f"/sessions/{session['id']}").get_json()["capacity"] == 10

    def test_an_old_version_changes_nothing(self, alice: Hospital) -> None:
        """412: a lost update is told, not made."""
        session = alice.new_session(**PLAN)
        assert change(alice, session, {"capacity": 3}).status_code == 200
        answer = change(alice, session, {"capacity": 4})
        assert (answer.status_code, answer.get_json()["code"]) == (412, "version_outdated")
        assert alice.get(f"/sessions/{session['id']}").get_json()["capacity"] == 3

    def test_of_several_changes_of_one_version_one_is_made(self, alice: Hospital) -> None:
        """At the same moment, from different threads."""
        session = alice.new_session(**PLAN)
        with ThreadPoolExecutor(4) as pool:
            answers = pool.map(lambda n: change(alice, session, {"capacity": n}), range(2, 6))
        assert sorted(answer.status_code for answer in answers) == [200, 412, 412, 412]

    @pytest.mark.parametrize(
        "etag", ["*", "1", 'W/"1"', '"1", "2"', '"one"', '"-1"', '"9999999999"']
    )
    def test_what_is_no_etag_of_ours_is_refused(self, alice: Hospital, etag: str) -> None:
        """Guessing a version is not knowing it."""
        session = alice.new_session(**PLAN)
        answer = change(alice, session, {"capacity": 3}, etag)
        assert (answer.status_code, answer.get_json()["code"]) == (422, "etag_invalid")
        assert answer.get_json()["field"] == "If-Match"

    def test_a_plan_is_judged_with_what_stays(self, alice: Hospital) -> None:
        """The new end against the old start."""
        session = alice.new_session(**PLAN)
        early = written(TOMORROW - timedelta(hours=1))
        answer = change(alice, session, {"planned_end": early})
        assert (answer.status_code, answer.get_json()["field"]) == (422, "planned_end")
        both = {"planned_start": written(TOMORROW - timedelta(hours=2)), "planned_end": early}
        assert change(alice, session, both).status_code == 200

    def test_the_start_of_a_session_that_runs_cannot_be_moved(self, alice: Hospital) -> None:
        """409; its capacity can."""
        session = alice.new_session()
        answer = change(alice, session, {"planned_start": PLAN["planned_start"]})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "session_active")
        assert change(alice, session, {"capacity": 2}).status_code == 200

    def test_what_is_over_stays_as_it_was(self, alice: Hospital) -> None:
        """409 with the state in the code."""
        session = alice.new_session()
        ended = alice.post(f"/sessions/{session['id']}/end").get_json()
        answer = change(alice, ended, {"reference": "late"})
        assert (answer.status_code, answer.get_json()["code"]) == (409, "session_ended")

    def test_links_live_as_long_as_a_session_that_was_put_off(
        self, alice: Hospital, services: Services
    ) -> None:
        """A link sent for tomorrow must work when tomorrow became next month."""
        session = alice.new_session(**PLAN)
        person = alice.invite(session["id"])
        later = TOMORROW + timedelta(days=30)
        answer = change(
            alice,
            session,
            {
                "planned_start": written(later),
                "planned_end": written(later + timedelta(hours=1)),
            },
        )
        assert answer.status_code == 200
        (link,) = links_of(services, person["id"])
        assert link.expires_at == later + timedelta(hours=1, seconds=604_800)
