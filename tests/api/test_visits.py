"""`/visits`: started, ended, watched; and what the organisation's rules do by themselves."""

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime, timedelta
from threading import Barrier
from typing import Any

import pytest
from sqlalchemy import text

from app.adapters.memory import MemoryRooms
from app.appointments.states import Status
from app.clock import utc_now
from app.services import Services
from app.visits.sweep import sweep as sweep_once
from tests.api.clinic import make_appointment, with_directory
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.records import alter, audit_of, code_of, events_of, orders_of, statements, types_of
from tests.api.test_appointment_life import person, stand

MINUTE = timedelta(minutes=1)


@pytest.fixture
def clinic(alice: Hospital) -> Hospital:
    """Alice with patients and providers."""
    return with_directory(alice)


def decide(hospital: Hospital, **policy: Any) -> None:
    """Change the hospital's policy."""
    version = hospital.get("/organisation").headers["ETag"]
    answer = hospital.patch("/organisation", json={"policy": policy}, headers={"If-Match": version})
    assert answer.status_code == 200, answer.text


def status_of(hospital: Hospital, made: dict[str, Any]) -> dict[str, Any]:
    """Read how a visit stands."""
    return dict(hospital.get(f"/visits/{made['id']}/status").get_json())


def after(made: dict[str, Any], minutes: float) -> datetime:
    """Return a moment counted from the planned end."""
    return datetime.fromisoformat(made["end"]) + minutes * MINUTE


class TestDay:
    """`GET /visits`."""

    def test_a_day_with_who_is_late_by_provider_and_for_this_hospital_only(
        self, clinic: Hospital, charlie: Hospital
    ) -> None:
        """The day of the first visit, wherever midnight is."""
        late = make_appointment(clinic, -6)
        day = late["start"][:10]
        items = clinic.get(f"/visits?day={day}").get_json()["items"]
        shown = next(one for one in items if one["appointment_id"] == late["id"])
        assert shown["status"] == "scheduled"
        assert {one["late"] for one in shown["people"]} == {True}
        other = clinic.get(f"/visits?day={day}&provider_id={late['patient']['id']}").get_json()
        assert other["items"] == []
        assert [one["id"] for one in other["providers"]] == [late["provider"]["id"]]
        assert charlie.get(f"/visits?day={day}").get_json()["items"] == []


class TestWatching:
    """`GET /visits/{appointment_id}/status`."""

    def test_who_is_there_who_is_late_and_since_when(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """Late is who never came; who came and left is not."""
        made = make_appointment(clinic, -6)
        doctor = person(services, clinic, made, 1)
        before = status_of(clinic, made)
        assert (before["status"], before["session_state"]) == ("scheduled", "scheduled")
        assert before["counts"] == {"present": 0, "late": 2, "waiting": 0}
        prosody.tell(doctor.joined())
        during = status_of(clinic, made)
        assert (during["status"], during["counts"]["present"]) == ("in_progress", 1)
        assert [(p["participant_id"], p["role"]) for p in during["present"]] == [
            (doctor.id, "doctor")
        ]
        assert [one["role"] for one in during["late"]] == ["patient"]
        assert during["since"] == during["started_at"]
        prosody.tell(doctor.left())
        assert status_of(clinic, made)["counts"] == {"present": 0, "late": 1, "waiting": 0}

    def test_what_late_means_is_the_organisations(self, clinic: Hospital) -> None:
        """For this kind of visit, at once."""
        made = make_appointment(clinic, -6, visit_type="walk-in")
        decide(clinic, visit_types={"walk-in": {"late_after_s": 3600}})
        assert status_of(clinic, made)["late"] == []
        other = make_appointment(clinic, -6)
        assert status_of(clinic, other)["counts"]["late"] == 2

    def test_who_waits_is_read_from_what_was_told_last(
        self, clinic: Hospital, services: Services
    ) -> None:
        """Waiting, until let in, sent away or gone."""
        made = make_appointment(clinic, -1)
        patient = made["people"][0]["id"]
        for type_, waiting in (("waiting", 1), ("denied", 0), ("waiting", 1), ("admitted", 0)):
            tell_of(services, made, f"participant.{type_}", patient)
            assert status_of(clinic, made)["counts"]["waiting"] == waiting

    def test_a_visit_past_its_plan_says_by_how_much(
        self, clinic: Hospital, services: Services
    ) -> None:
        """In seconds, while it goes on."""
        made = make_appointment(clinic, -20, 25)
        clinic.post(f"/visits/{made['id']}/start")
        assert status_of(clinic, made)["overrun_s"] == 0
        alter(
            services,
            "UPDATE clinical.appointments SET planned_end = now() - interval '2 minutes'"
            " WHERE id = :id",
            id=made["id"],
        )
        assert 119 <= status_of(clinic, made)["overrun_s"] <= 140
        clinic.post(f"/visits/{made['id']}/end")
        assert status_of(clinic, made)["overrun_s"] == 0


class TestEnding:
    """`POST /visits/{appointment_id}/start` and `/end`."""

    def test_ending_puts_everybody_out(
        self, clinic: Hospital, services: Services, live: MemoryRooms
    ) -> None:
        """As ending the session does: room closed, links dead."""
        made = make_appointment(clinic, 5)
        room = clinic.get(f"/sessions/{made['session_id']}").get_json()["room_name"]
        live.enter(room, "somebody")
        clinic.post(f"/visits/{made['id']}/start")
        answer = clinic.post(f"/visits/{made['id']}/end", json={"reason": "All said."})
        assert (answer.status_code, answer.get_json()["reason"]) == (200, "All said.")
        assert (answer.get_json()["status"], room in live.rooms) == ("completed", False)
        click = clinic.app.test_client().post(f"/j/{code_of(made['people'][1])}/token")
        assert (click.status_code, click.get_json()["code"]) == (410, "session_ended")

    def test_without_a_gateway_it_is_over_all_the_same(
        self, clinic: Hospital, live: MemoryRooms
    ) -> None:
        """202."""
        made = make_appointment(clinic, 5)
        clinic.post(f"/visits/{made['id']}/start")
        live.alive = False
        answer = clinic.post(f"/visits/{made['id']}/end")
        assert (answer.status_code, answer.get_json()["status"]) == (202, "completed")

    def test_what_never_started_is_cancelled_instead(self, clinic: Hospital) -> None:
        """409, which says so."""
        made = make_appointment(clinic, 5)
        problem(clinic.post(f"/visits/{made['id']}/end"), 409, "visit_not_started")


@pytest.mark.usefixtures("alone")
class TestRules:
    """What the relay's sweep does, driven by the test's clock."""

    def begun(
        self, services: Services, clinic: Hospital, prosody: Prosody, *who: int, **more: Any
    ) -> tuple[dict[str, Any], Sequence[Any]]:
        """Return an appointment whose people (0 patient, 1 doctor) have come in."""
        made = make_appointment(clinic, -1, 30, **more)
        people = [person(services, clinic, made, index) for index in who]
        for one in people:
            prosody.tell(one.joined())
        return made, people

    def test_an_empty_room_ends_after_its_plan(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """Doctor and patient leave early; within the plan they may come back."""
        made, people = self.begun(services, clinic, prosody, 1, 0)
        prosody.tell(*(one.left() for one in people))
        sweep(services, now=after(made, 14.9))
        assert stand(services, made)[0] == Status.IN_PROGRESS
        sweep(services, now=after(made, 15.1))
        assert stand(services, made) == (Status.COMPLETED, "ended")
        session = clinic.get(f"/sessions/{made['session_id']}").get_json()
        assert session["end_reason"] == "empty"
        entry = audit_of(services, clinic.organisation_id)[-1]
        assert (entry.actor_kind, entry.action) == ("service", "visit.completed")
        assert [order.name for order in orders_of(services, made["session_id"])] == ["end"]

    def test_a_room_with_somebody_in_it_ends_when_it_was_forgotten(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """And it is told once that it runs over."""
        made, _ = self.begun(services, clinic, prosody, 1, 0)
        for minutes in (1, 2, 16, 239):
            sweep(services, now=after(made, minutes))
        assert stand(services, made)[0] == Status.IN_PROGRESS
        assert types_of(services, made["session_id"]).count("session.overrun") == 1
        sweep(services, now=after(made, 240.1))
        assert stand(services, made) == (Status.COMPLETED, "ended")
        event = events_of(services, made["session_id"])[-1]
        assert (event.type, event.data["reason"]) == ("visit.completed", "forgotten")

    @pytest.mark.parametrize(("doctor_came", "state"), [(True, "ended"), (False, "cancelled")])
    def test_a_patient_who_never_came_is_a_no_show(
        self, clinic: Hospital, services: Services, prosody: Prosody, doctor_came: bool, state: str
    ) -> None:
        """Half an hour after the planned start, whether the doctor waits or not."""
        made, _ = self.begun(services, clinic, prosody, *([1] if doctor_came else []))
        sweep(services, now=after(made, -0.1))
        assert stand(services, made)[0] in (Status.IN_PROGRESS, Status.SCHEDULED)
        sweep(services, now=after(made, 0.1))
        assert stand(services, made) == (Status.NO_SHOW, state)
        event = next(
            e for e in events_of(services, made["session_id"]) if e.type == "appointment.no_show"
        )
        assert event.data["reason"] == "rule"

    def test_a_patient_who_waits_for_a_late_doctor_is_no_no_show(
        self, clinic: Hospital, services: Services
    ) -> None:
        """Who stood at the door did come; some day the session is forgotten, and cancelled."""
        made = make_appointment(clinic, -1, 30)
        tell_of(services, made, "participant.waiting", made["people"][0]["id"])
        sweep(services, now=after(made, 100))
        assert stand(services, made) == (Status.SCHEDULED, "scheduled")
        sweep(services, now=after(made, 241))
        assert stand(services, made) == (Status.CANCELLED, "cancelled")

    def test_a_kind_of_visit_has_rules_of_its_own(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """Here: nobody is waited for long."""
        decide(clinic, visit_types={"triage": {"end_empty_after_s": 60}}, end_empty_after_s=3600)
        made, people = self.begun(services, clinic, prosody, 1, 0, visit_type="triage")
        other, others = self.begun(services, clinic, prosody, 1, 0)
        prosody.tell(*(one.left() for one in (*people, *others)))
        sweep(services, now=after(made, 2))
        assert stand(services, made)[0] == Status.COMPLETED
        assert stand(services, other)[0] == Status.IN_PROGRESS

    def test_a_session_without_an_appointment_ends_by_the_same_rules(
        self, clinic: Hospital, services: Services
    ) -> None:
        """Four hours after it was opened, if nobody has come at all."""
        session = clinic.new_session()
        sweep(services, now=utc_now() + timedelta(hours=3, minutes=59))
        assert clinic.get(f"/sessions/{session['id']}").get_json()["state"] == "active"
        sweep(services, now=utc_now() + timedelta(hours=4, minutes=1))
        assert clinic.get(f"/sessions/{session['id']}").get_json()["state"] == "ended"
        assert types_of(services, session["id"]) == ["session.created", "session.ended"]

    def test_a_reschedule_puts_everything_off(self, clinic: Hospital, services: Services) -> None:
        """What was looked at under the old plan is looked at again under the new one."""
        made = make_appointment(clinic, 60, 30)
        later = {
            name: (datetime.fromisoformat(made[name]) + timedelta(hours=8)).isoformat()
            for name in ("start", "end")
        }
        body = {**later, "visit_type": "consultation", "reference": None}
        path, tag = f"/appointments/{made['id']}", {"If-Match": '"1"'}
        assert clinic.call("PUT", path, json=body, headers=tag).status_code == 200
        sweep(services, now=after(made, 300))
        assert stand(services, made)[0] == Status.SCHEDULED
        sweep(services, now=after(made, 481))
        assert stand(services, made)[0] == Status.NO_SHOW

    def test_any_number_of_relays_do_each_thing_once(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """Four sweeps at the same moment: one event each, one order each."""
        mades = [self.begun(services, clinic, prosody, 1)[0] for _ in range(6)]
        gate = Barrier(4)

        def one_relay(_: int) -> int:
            gate.wait()
            return sweep(services, now=after(mades[-1], 5))

        with ThreadPoolExecutor(4) as relays:
            assert sum(relays.map(one_relay, range(4))) >= len(mades)
        for made in mades:
            told = types_of(services, made["session_id"])
            assert told.count("appointment.no_show") == told.count("session.ended") == 1
            assert len(orders_of(services, made["session_id"])) == 1

    def test_a_session_that_cannot_be_judged_holds_up_no_other(
        self, clinic: Hospital, charlie: Hospital, services: Services
    ) -> None:
        """It is left for five minutes, and closed when its hospital's settings make sense again."""
        odd, fine = make_appointment(clinic, -1), make_appointment(with_directory(charlie), -1)
        moment = after(fine, 1)
        for settings, expected in (('{"no_show_after_s": "soon"}', "scheduled"), ("{}", "no_show")):
            alter(
                services,
                "UPDATE teleconference.organisations SET settings = cast(:settings AS jsonb)"
                " WHERE id = :id",
                settings=settings,
                id=clinic.organisation_id,
            )
            sweep(services, now=moment)
            assert stand(services, odd)[0] == expected
            assert stand(services, fine)[0] == Status.NO_SHOW
            moment += 5.1 * MINUTE

    def test_nothing_open_costs_nothing(self, services: Services) -> None:
        """One statement reads one index, which holds open sessions only."""
        sweep(services, now=utc_now() + timedelta(days=365))
        with statements(services) as seen:
            assert sweep(services, now=utc_now() + timedelta(days=365)) == 0
        assert len([one for one in seen if "sessions" in one]) == 1
        with services.database.begin() as db:
            db.execute(text("SET LOCAL enable_seqscan = off"))
            query = "EXPLAIN SELECT id FROM teleconference.sessions WHERE due_at <= now()"
            plan = " ".join(db.scalars(text(f"{query} ORDER BY due_at, id LIMIT 200")))
        assert "ix_sessions_due" in plan


class TestDoors:
    """The early-join window, which the door reads with the seat."""

    @pytest.mark.parametrize(
        ("policy", "reason"),
        [
            ({}, "too-early"),
            ({"early_join_s": 7200}, ""),
            ({"visit_types": {"consultation": {"early_join_s": 7200}}}, ""),
            ({"visit_types": {"other": {"early_join_s": 7200}}}, "too-early"),
            ({"early_join_s": 7200, "visit_types": {"consultation": {"early_join_s": 0}}},
             "too-early"),
        ],
    )  # fmt: skip
    def test_the_organisation_says_when_doors_open(
        self, clinic: Hospital, services: Services, prosody: Prosody, policy: dict[str, Any],
        reason: str,
    ) -> None:  # fmt: skip
        """The page, the token and Prosody's question agree."""
        if policy:
            decide(clinic, **policy)
        made = make_appointment(clinic, 60)
        doctor = made["people"][1]
        state = clinic.app.test_client().get(f"/j/{code_of(doctor)}/state").get_json()
        assert state["reason"] == reason
        asked = person(services, clinic, made, 1).question()
        assert prosody.ask(**asked)["allow"] == (not reason)


def sweep(services: Services, *, now: datetime) -> int:
    """Sweep until nothing is due: other tests have left sessions behind, too many for one time."""
    looked_at = 0
    while found := sweep_once(services, now=now):
        looked_at += found
    return looked_at


# What some types say besides.
DECIDED = '{"by": "client"}'
MORE = {
    "participant.admitted": DECIDED,
    "participant.denied": DECIDED,
    "participant.left": '{"reason": "left"}',
    "participant.removed": '{"until": null}',
    "participant.refused": '{"code": "full"}',
}


def tell_of(services: Services, made: dict[str, Any], type_: str, participant_id: str) -> None:
    """Append an event about a patient that another part of the service tells."""
    with services.database.begin() as db:
        db.execute(
            text("""
            SELECT teleconference.append_event(gen_random_uuid(), :session, :type,
                jsonb_build_object('session_id', :session, 'participant_id', :person,
                'role', 'patient', 'participant_reference', null)
                || cast(:more AS jsonb), now())"""),
            {
                "session": made["session_id"],
                "type": type_,
                "person": participant_id,
                "more": MORE.get(type_, "{}"),
            },
        )
