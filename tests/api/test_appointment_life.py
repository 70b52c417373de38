"""The life of an appointment: every step from every status, at once, and never apart from its
session, whoever moves which of them."""

import time
from collections.abc import Callable
from datetime import timedelta
from itertools import pairwise, product
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import TestResponse

from app.appointments.models import Appointment
from app.appointments.states import SESSION_STATES, TRANSITIONS, Status
from app.appointments.states import Step as AppointmentStep
from app.clock import utc_now
from app.participants.links import live_link
from app.services import Services
from app.sessions.models import CareSession
from app.visits.sweep import sweep
from tests.api.clinic import make_appointment, with_directory
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.prosody import Prosody, Someone
from tests.api.records import audit_of, events_of, orders_of, types_of
from tests.api.test_session_life import at_once

# The API's way of each step, and the event that tells it.
WAYS = {
    AppointmentStep.ARRIVE: "/appointments/{id}/arrive",
    AppointmentStep.START: "/visits/{id}/start",
    AppointmentStep.COMPLETE: "/visits/{id}/end",
    AppointmentStep.CANCEL: "/appointments/{id}/cancel",
    AppointmentStep.NO_SHOW: "/appointments/{id}/no-show",
}
TOLD = {
    AppointmentStep.ARRIVE: "appointment.arrived",
    AppointmentStep.START: "visit.started",
    AppointmentStep.COMPLETE: "visit.completed",
    AppointmentStep.CANCEL: "appointment.cancelled",
    AppointmentStep.NO_SHOW: "appointment.no_show",
}
_A = AppointmentStep
LIVES: dict[Status, list[AppointmentStep]] = {
    Status.SCHEDULED: [],
    Status.ARRIVED: [_A.ARRIVE],
    Status.IN_PROGRESS: [_A.START],
    Status.COMPLETED: [_A.START, _A.COMPLETE],
    Status.CANCELLED: [_A.CANCEL],
    Status.NO_SHOW: [_A.NO_SHOW],
}
BEGAN_MINUTES_AGO = -5.0


@pytest.fixture
def clinic(alice: Hospital) -> Hospital:
    """Alice with patients and providers."""
    return with_directory(alice)


def take(hospital: Hospital, made: dict[str, Any], step: AppointmentStep) -> TestResponse:
    """Take one step."""
    return hospital.post(WAYS[step].format(id=made["id"]))


def stand(services: Services, made: dict[str, Any]) -> tuple[Status, str]:
    """Return where an appointment and its session stand, read in one moment."""
    with services.database.begin() as db:
        appointment = db.get_one(Appointment, UUID(made["id"]))
        session = db.get_one(CareSession, UUID(made["session_id"]))
        return Status(appointment.status), session.state


def person(services: Services, hospital: Hospital, made: dict[str, Any], index: int) -> Someone:
    """Return one of its people as Prosody knows them."""
    session = hospital.get(f"/sessions/{made['session_id']}").get_json()
    who = made["people"][index]["id"]
    with services.database.begin() as db:
        link = live_link(db, participant_id=UUID(who))
        assert link is not None
    return Someone(hospital, session["id"], session["room_name"], who, str(link.id))


@pytest.mark.parametrize(("status", "step"), list(product(Status, AppointmentStep)))
def test_every_step_from_every_status_does_what_the_table_says(
    clinic: Hospital, services: Services, status: Status, step: AppointmentStep
) -> None:
    """It leads on and is told once, or is a harmless repeat, or is refused and changes nothing."""
    made = make_appointment(clinic, BEGAN_MINUTES_AGO)
    for before in LIVES[status]:
        assert take(clinic, made, before).status_code == 200
    assert stand(services, made)[0] == status
    told = types_of(services, made["session_id"])
    version = clinic.get(f"/appointments/{made['id']}").get_json()["version"]
    answer = take(clinic, made, step)
    new = types_of(services, made["session_id"])[len(told) :]
    after = clinic.get(f"/appointments/{made['id']}").get_json()
    if (status, step) in TRANSITIONS:
        assert (answer.status_code, after["status"]) == (200, TRANSITIONS[status, step])
        assert (after["version"], new.count(TOLD[step])) == (version + 1, 1)
    elif any(target == status and way is step for (_, way), target in TRANSITIONS.items()):
        assert (answer.status_code, new, after["version"]) == (200, [], version)
    else:
        never_started = step is AppointmentStep.COMPLETE and status in ("scheduled", "arrived")
        code = "visit_not_started" if never_started else f"appointment_{status}"
        problem(answer, 409, code, None if never_started else "status")
        assert (new, after["status"]) == ([], status)
    where, session_state = stand(services, made)
    assert session_state in SESSION_STATES[where]


class TestFollowing:
    """One source of state: the session's."""

    def test_a_doctor_who_comes_in_begins_the_visit(
        self, clinic: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """Prosody's word moves the session, and with it the appointment."""
        made = make_appointment(clinic, 5)
        prosody.tell(person(services, clinic, made, 1).joined())
        assert stand(services, made) == (Status.IN_PROGRESS, "active")
        assert types_of(services, made["session_id"])[-3:] == [
            "session.started",
            "visit.started",
            "participant.joined",
        ]
        event = events_of(services, made["session_id"])[-2]
        assert event.data["started_by"] == "participant"

    def test_the_sessions_own_operations_move_it(
        self, clinic: Hospital, services: Services
    ) -> None:
        """A program that knows only sessions does no harm."""
        made = make_appointment(clinic)
        clinic.post(f"/sessions/{made['session_id']}/start")
        assert stand(services, made)[0] == Status.IN_PROGRESS
        clinic.post(f"/sessions/{made['session_id']}/end", json={"reason": "All said."})
        assert stand(services, made)[0] == Status.COMPLETED
        read = clinic.get(f"/appointments/{made['id']}").get_json()
        assert (read["reason"], read["version"]) == ("All said.", 3)
        other = make_appointment(clinic)
        clinic.post(f"/sessions/{other['session_id']}/cancel", json={"reason": "Ill."})
        assert stand(services, other) == (Status.CANCELLED, "cancelled")
        event = events_of(services, other["session_id"])[-1]
        assert (event.type, event.data["reason"]) == ("appointment.cancelled", "Ill.")

    def test_a_no_show_closes_the_session_and_is_no_cancellation(
        self, clinic: Hospital, services: Services
    ) -> None:
        """Told as what it is, whether the doctor had come or not."""
        for way, state in (([], "cancelled"), ([AppointmentStep.START], "ended")):
            made = make_appointment(clinic, BEGAN_MINUTES_AGO)
            for step in way:
                take(clinic, made, step)
            assert take(clinic, made, AppointmentStep.NO_SHOW).status_code == 200
            assert stand(services, made) == (Status.NO_SHOW, state)
            told = types_of(services, made["session_id"])
            assert told[-2:] == ["appointment.no_show", f"session.{state}"]
            assert events_of(services, made["session_id"])[-2].data["reason"] == "staff"
            assert [order.name for order in orders_of(services, made["session_id"])] == ["end"]

    def test_nobody_is_missed_before_the_time(self, clinic: Hospital) -> None:
        """409."""
        made = make_appointment(clinic, 5)
        problem(take(clinic, made, AppointmentStep.NO_SHOW), 409, "appointment_not_due")


@pytest.mark.parametrize("step", list(AppointmentStep))
def test_the_same_step_from_several_threads_happens_once(
    clinic: Hospital, services: Services, step: AppointmentStep
) -> None:
    """Everybody is told yes; there is one event and one audit entry."""
    made = make_appointment(clinic, BEGAN_MINUTES_AGO)
    if step is AppointmentStep.COMPLETE:
        take(clinic, made, AppointmentStep.START)
    answers = at_once(4, lambda: take(clinic, made, step))
    assert [answer.status_code for answer in answers] == [200] * 4
    assert types_of(services, made["session_id"]).count(TOLD[step]) == 1
    entries = [entry.action for entry in audit_of(services, clinic.organisation_id)]
    assert entries.count(TOLD[step]) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("/visits/{id}/start", "/appointments/{id}/cancel"),
        ("/sessions/{session_id}/start", "/appointments/{id}/no-show"),
        ("/sessions/{session_id}/cancel", "/appointments/{id}/no-show"),
        ("/sessions/{session_id}/cancel", "/visits/{id}/start"),
        ("/appointments/{id}/arrive", "/sessions/{session_id}/cancel"),
    ],
)
def test_of_two_at_once_they_never_disagree(
    clinic: Hospital, services: Services, one: str, other: str
) -> None:
    """Both orders are fine; a mixture of them is not, and neither is a deadlock."""
    for _ in range(4):
        made = make_appointment(clinic, BEGAN_MINUTES_AGO)
        paths = iter([way.format(**made) for way in (one, other)])
        answers = at_once(2, lambda p=paths: clinic.post(next(p)))
        assert {answer.status_code for answer in answers} <= {200, 409}
        assert 200 in {answer.status_code for answer in answers}
        status, state = stand(services, made)
        assert state in SESSION_STATES[status]


Act = Callable[[Hospital, Services, Prosody, dict[str, Any]], Any]


def calling(path: str) -> Act:
    """Return the act of calling one operation."""
    return lambda hospital, _s, _p, made: hospital.post(path.format(**made))


ACTS: dict[str, Act] = {
    **{
        path: calling(path)
        for path in (
            *WAYS.values(),
            "/sessions/{session_id}/start",
            "/sessions/{session_id}/end",
            "/sessions/{session_id}/cancel",
        )
    },
    "doctor joins": lambda hospital, services, prosody, made: prosody.tell(
        person(services, hospital, made, 1).joined()
    ),
    "patient joins": lambda hospital, services, prosody, made: prosody.tell(
        person(services, hospital, made, 0).joined()
    ),
    "everybody leaves": lambda _h, _s, prosody, _m: prosody.tell(
        {"id": str(uuid4()), "type": "server.started", "at": time.time()}, source=str(uuid4())
    ),
    "half an hour passes": lambda _h, services, _p, made: sweep(
        services, now=utc_now() + timedelta(minutes=36)
    ),
    "a day passes": lambda _h, services, _p, made: sweep(
        services, now=utc_now() + timedelta(days=1)
    ),
}


@pytest.mark.usefixtures("alone")
@pytest.mark.parametrize("examples", [20, pytest.param(200, marks=pytest.mark.long)])
def test_appointment_and_session_never_disagree(
    alice: Hospital, services: Services, prosody: Prosody, examples: int
) -> None:
    """Whatever is done, in whatever order, by whichever way in."""
    steps = {(source, target) for (source, _), target in TRANSITIONS.items()}

    @settings(max_examples=examples, deadline=None, derandomize=True)
    @given(acts=st.lists(st.sampled_from(sorted(ACTS)), min_size=1, max_size=7))
    def check(acts: list[str]) -> None:
        made = make_appointment(with_directory(alice), BEGAN_MINUTES_AGO)
        seen = [stand(services, made)[0]]
        for act in acts:
            ACTS[act](alice, services, prosody, made)
            status, state = stand(services, made)
            assert state in SESSION_STATES[status], (acts, act, status, state)
            seen.append(status)
        assert {(a, b) for a, b in pairwise(seen) if a is not b} <= steps

    check()
