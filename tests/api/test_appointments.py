"""`/appointments`: made, listed, read, changed; and every refusal."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.services import Services
from app.web.auth import SCOPES
from tests.api.clinic import (
    DOCTOR,
    GONE,
    PATIENT,
    appointment_in,
    make_appointment,
    with_directory,
)
from tests.api.hospital import Hospital, admit_hospital
from tests.api.problems import problem
from tests.api.records import audit_of, code_of, dump, events_of, links_of, types_of

RELATIVE = {"role": "relative", "display_name": "Kim Rivera", "email": "kim@example.org"}


@pytest.fixture
def clinic(alice: Hospital) -> Hospital:
    """Alice with patients and providers."""
    return with_directory(alice)


def moment(text: str) -> datetime:
    """Return the moment a text says."""
    return datetime.fromisoformat(text)


def moved(appointment: dict[str, Any], hours: float, **changes: Any) -> dict[str, Any]:
    """Return the body that puts an appointment off."""
    times = {
        name: (moment(appointment[name]) + timedelta(hours=hours)).isoformat()
        for name in ("start", "end")
    }
    kept = {name: appointment[name] for name in ("visit_type", "reference")}
    return {**kept, **times, **changes}


def put(hospital: Hospital, appointment: dict[str, Any], body: Any, version: int = 0) -> Any:
    """Change an appointment, as read unless a version is given."""
    tag = {"If-Match": f'"{version or appointment["version"]}"'}
    return hospital.call("PUT", f"/appointments/{appointment['id']}", json=body, headers=tag)


class TestMaking:
    """`POST /appointments`."""

    def test_it_has_a_session_and_links_that_work(
        self, clinic: Hospital, services: Services
    ) -> None:
        """Patient and provider come from the directory; whoever else is named in the body."""
        made = make_appointment(clinic, 5, reference="visit-1", people=[RELATIVE])
        assert (made["status"], made["version"], made["conflicts"]) == ("scheduled", 1, [])
        assert made["patient"]["reference"] == PATIENT
        people = [(p["role"], p["display_name"], p["locale"]) for p in made["people"]]
        assert people == [
            ("patient", "Sam Rivera", "de"),
            ("doctor", "Dr. Okafor", "en"),
            ("relative", "Kim Rivera", "en"),
        ]
        session = clinic.get(f"/sessions/{made['session_id']}").get_json()
        assert (session["state"], session["reference"]) == ("scheduled", "visit-1")
        assert session["planned_start"] == made["start"]
        browser = clinic.app.test_client()
        doctor = browser.post(f"/j/{code_of(made['people'][1])}/token")
        assert doctor.get_json()["state"] == "ready"
        assert types_of(services, made["session_id"]) == [
            "session.created",
            "appointment.created",
            *["participant.invited"] * 3,
        ]

    def test_event_and_audit_entry_name_nobody(self, clinic: Hospital, services: Services) -> None:
        """Ids, times and the hospital's own reference."""
        made = make_appointment(clinic, reference="visit-2")
        event = events_of(services, made["session_id"])[1]
        assert event.data == {
            "session_id": made["session_id"],
            "appointment_id": made["id"],
            "reference": "visit-2",
            "visit_type": "consultation",
            "planned_start": event.data["planned_start"],
            "planned_end": event.data["planned_end"],
        }
        assert moment(event.data["planned_start"]) == moment(made["start"])
        entries = audit_of(services, clinic.organisation_id)
        assert "appointment.created" in [entry.action for entry in entries]
        assert not [e for e in entries if "Rivera" in str(e.detail)]

    def test_people_are_named_by_our_id_as_well(self, clinic: Hospital) -> None:
        """Whichever the hospital's program has at hand."""
        first = make_appointment(clinic)
        body = appointment_in(200)
        del body["patient_reference"]
        body["patient_id"] = first["patient"]["id"]
        again = clinic.post("/appointments", json=body).get_json()
        assert again["patient"] == first["patient"]

    def test_a_repeat_with_the_same_key_makes_one(
        self, clinic: Hospital, services: Services
    ) -> None:
        """And shows the same links."""
        key, body = {"Idempotency-Key": str(uuid4())}, appointment_in()
        first, second = (
            clinic.post("/appointments", json=body, headers=key).get_json() for _ in range(2)
        )
        assert first == second
        assert len(clinic.get("/appointments").get_json()["items"]) == 1

    def test_a_provider_may_be_booked_twice_and_it_is_said(self, clinic: Hospital) -> None:
        """Hospitals do that; the answer names the others, as long as they are open."""
        first = make_appointment(clinic, 60, 30)
        assert make_appointment(clinic, 90.1, 30)["conflicts"] == []
        second = make_appointment(clinic, 75, 10)
        assert second["conflicts"] == [first["id"]]
        other = make_appointment(clinic, 75, 10, provider_reference="doctor-2")
        assert other["conflicts"] == []
        clinic.post(f"/appointments/{first['id']}/cancel")
        assert make_appointment(clinic, 75, 10)["conflicts"] == [second["id"]]

    @pytest.mark.parametrize(
        ("changes", "code", "field"),
        [
            ({"patient_reference": "nobody"}, "person_unknown", "patient_reference"),
            ({"provider_reference": "nobody"}, "person_unknown", "provider_reference"),
            ({"patient_reference": GONE}, "patient_inactive", "patient_id"),
            ({"patient_id": str(uuid4())}, "person_not_named", "patient_id"),
            ({"start": "2050-01-01T10:00:00"}, "invalid_request", "start"),
            ({"end": "2000-01-01T10:00:00Z"}, "plan_not_in_order", "end"),
            ({"start": "2020-01-01T10:00:00Z", "end": "2020-01-01T11:00:00Z"},
             "plan_in_past", "end"),
            ({"start": "2050-01-01T10:00:00Z", "end": "2050-01-02T10:00:01Z"},
             "plan_too_long", "end"),
            ({"visit_type": "Follow Up"}, "invalid_request", "visit_type"),
            ({"status": "completed"}, "invalid_request", "status"),
            ({"people": [{"role": "king", "display_name": "X"}]},
             "invalid_request", "people.0.role"),
            ({"people": [RELATIVE] * 10}, "capacity_too_large", "capacity"),
        ],
    )  # fmt: skip
    def test_what_cannot_be_meant_is_refused(
        self, clinic: Hospital, changes: dict[str, Any], code: str, field: str
    ) -> None:
        """422, and nothing is left behind."""
        problem(clinic.post("/appointments", json=appointment_in(**changes)), 422, code, field)
        assert clinic.get("/appointments").get_json()["items"] == []
        assert clinic.get("/sessions").get_json()["items"] == []

    def test_another_hospitals_patient_is_unknown(
        self, clinic: Hospital, charlie: Hospital
    ) -> None:
        """Word for word what an id that never existed gets."""
        hers = make_appointment(clinic)["patient"]["id"]
        with_directory(charlie)
        answers = []
        for person in (hers, str(uuid4())):
            body = appointment_in()
            del body["patient_reference"]
            answers.append(charlie.post("/appointments", json={**body, "patient_id": person}))
        assert answers[0].get_json() == answers[1].get_json()
        problem(answers[0], 422, "person_unknown", "patient_id")


class TestReading:
    """`GET /appointments` and `GET /appointments/{id}`."""

    def test_a_link_is_shown_once(self, clinic: Hospital) -> None:
        """Reading shows the appointment and its ETag, and no link."""
        made = make_appointment(clinic)
        answer = clinic.get(f"/appointments/{made['id']}")
        assert answer.headers["ETag"] == '"1"'
        assert answer.get_json() == {k: made[k] for k in made if k not in ("people", "conflicts")}
        assert "/j/" not in answer.text

    def test_pages_are_in_the_order_of_the_day(self, clinic: Hospital) -> None:
        """The earliest first, without gaps or repeats while others are made."""
        ids = [make_appointment(clinic, minutes)["id"] for minutes in (300, 100, 200, 400)]
        wanted = [ids[1], ids[2], ids[0], ids[3]]
        first = clinic.get("/appointments?limit=2").get_json()
        make_appointment(clinic, 50)
        second = clinic.get(f"/appointments?limit=2&cursor={first['next_cursor']}").get_json()
        found = [one["id"] for page in (first, second) for one in page["items"]]
        assert (found, second["next_cursor"]) == (wanted, None)

    def test_filters(self, clinic: Hospital) -> None:
        """By time, status, provider and patient, together."""
        early = make_appointment(clinic, 60)
        late = make_appointment(clinic, 600, provider_reference="doctor-2")
        clinic.post(f"/appointments/{late['id']}/cancel")

        def found(**query: str) -> list[str]:
            page = clinic.get("/appointments", query_string=query).get_json()
            return [one["id"] for one in page["items"]]

        assert found(**{"from": late["start"]}) == [late["id"]]
        assert found(to=late["start"]) == [early["id"]]
        assert found(status="cancelled") == [late["id"]]
        assert found(provider_id=early["provider"]["id"]) == [early["id"]]
        assert found(patient_id=early["patient"]["id"]) == [early["id"], late["id"]]
        assert found(patient_id=str(uuid4())) == []
        assert found(status="scheduled", provider_id=late["provider"]["id"]) == []

    def test_a_day_is_the_organisations(self, clinic: Hospital) -> None:
        """Midnight in Auckland is noon in UTC, or one hour later."""
        version = clinic.get("/organisation").headers["ETag"]
        zone = {"policy": {"timezone": "Pacific/Auckland"}}
        assert clinic.patch("/organisation", json=zone, headers={"If-Match": version})
        times: dict[str, Any] = {"start": "2050-06-30T12:30:00Z", "end": "2050-06-30T13:00:00Z"}
        made = make_appointment(clinic, **times)
        page = clinic.get("/appointments?day=2050-07-01").get_json()["items"]
        assert [one["id"] for one in page] == [made["id"]]
        assert clinic.get("/appointments?day=2050-06-30").get_json()["items"] == []

    @pytest.mark.parametrize(
        "query", ["day=tomorrow", "day=9999-12-31", "from=2050-01-01T10:00:00", "status=lost",
                  "provider_id=x", "colour=red"],
    )  # fmt: skip
    def test_a_filter_that_is_none_is_refused(self, clinic: Hospital, query: str) -> None:
        """422 with its name."""
        name = query.partition("=")[0]
        problem(clinic.get(f"/appointments?{query}"), 422, "invalid_request", name)


class TestChanging:
    """`PUT /appointments/{id}`."""

    def test_a_reschedule_keeps_the_links_and_tells_everybody(
        self, clinic: Hospital, services: Services
    ) -> None:
        """The session moves along, the links live on with it, the event holds both times."""
        made = make_appointment(clinic, 5)
        person = made["people"][0]
        before = links_of(services, person["id"])[0].expires_at
        answer = put(clinic, made, moved(made, 48))
        assert answer.status_code == 200, answer.text
        changed = answer.get_json()
        assert (changed["version"], answer.headers["ETag"]) == (2, '"2"')
        assert moment(changed["start"]) == moment(moved(made, 48)["start"])
        session = clinic.get(f"/sessions/{made['session_id']}").get_json()
        assert (session["planned_start"], session["version"]) == (changed["start"], 2)
        (link,) = links_of(services, person["id"])
        assert link.expires_at == before + timedelta(hours=48)
        event = events_of(services, made["session_id"])[-1]
        assert event.type == "appointment.rescheduled"
        moments = [moment(event.data[n]) for n in
                   ("previous_planned_start", "planned_start")]  # fmt: skip
        assert moments[1] - moments[0] == timedelta(hours=48)
        state = clinic.app.test_client().get(f"/j/{code_of(person)}/state").get_json()
        assert state["reason"] == "too-early"

    def test_another_kind_or_reference_is_no_reschedule(
        self, clinic: Hospital, services: Services
    ) -> None:
        """`appointment.updated`, with what changed."""
        made = make_appointment(clinic)
        body = moved(made, 0, visit_type="follow-up", reference="visit-9")
        changed = put(clinic, made, body).get_json()
        assert (changed["visit_type"], changed["reference"]) == ("follow-up", "visit-9")
        event = events_of(services, made["session_id"])[-1]
        assert event.type == "appointment.updated"
        assert sorted(event.data["fields"]) == ["reference", "visit_type"]
        session = clinic.get(f"/sessions/{made['session_id']}").get_json()
        assert session["reference"] == "visit-9"

    def test_the_same_again_changes_nothing(self, clinic: Hospital, services: Services) -> None:
        """No event, no new version."""
        made = make_appointment(clinic)
        before = types_of(services, made["session_id"])
        assert put(clinic, made, moved(made, 0)).get_json()["version"] == 1
        assert types_of(services, made["session_id"]) == before

    def test_a_changed_session_changes_its_appointment(
        self, clinic: Hospital, services: Services
    ) -> None:
        """There is one plan, whoever changes it."""
        made = make_appointment(clinic)
        end = (moment(made["end"]) + timedelta(hours=1)).isoformat()
        path, tag = f"/sessions/{made['session_id']}", {"If-Match": '"1"'}
        assert clinic.patch(path, json={"planned_end": end}, headers=tag).status_code == 200
        read = clinic.get(f"/appointments/{made['id']}").get_json()
        assert moment(read["end"]) == moment(end)
        assert types_of(services, made["session_id"])[-1] == "appointment.rescheduled"
        answer = clinic.patch(path, json={"planned_end": None}, headers={"If-Match": '"2"'})
        problem(answer, 422, "plan_incomplete", "planned_end")

    def test_new_times_that_collide_are_said(self, clinic: Hospital) -> None:
        """As when it was made."""
        first, second = make_appointment(clinic, 60), make_appointment(clinic, 120)
        assert put(clinic, second, moved(second, -1)).get_json()["conflicts"] == [first["id"]]

    def test_a_stale_copy_changes_nothing(self, clinic: Hospital) -> None:
        """412; and 428 without any."""
        made = make_appointment(clinic)
        assert put(clinic, made, moved(made, 1)).status_code == 200
        problem(put(clinic, made, moved(made, 2)), 412, "version_outdated")
        answer = clinic.call("PUT", f"/appointments/{made['id']}", json=moved(made, 2))
        problem(answer, 428, "precondition_required")

    def test_nobody_moves_it_into_the_past(self, clinic: Hospital) -> None:
        """422."""
        made = make_appointment(clinic)
        problem(put(clinic, made, moved(made, -48)), 422, "plan_in_past", "end")

    def test_once_it_has_begun_only_its_end_moves(self, clinic: Hospital) -> None:
        """A longer visit is fine, another start is not."""
        made = make_appointment(clinic, 5)
        clinic.post(f"/visits/{made['id']}/start")
        later = moved(made, 1)
        answer = put(clinic, made, {**later, "start": made["start"]}, version=2)
        assert answer.status_code == 200, answer.text
        problem(put(clinic, made, moved(made, 3), version=3), 409, "session_active")

    def test_what_is_over_stays(self, clinic: Hospital) -> None:
        """409."""
        made = make_appointment(clinic)
        clinic.post(f"/appointments/{made['id']}/cancel")
        answer = put(clinic, made, moved(made, 1), version=2)
        problem(answer, 409, "appointment_cancelled", "status")


def test_nothing_personal_is_outside_its_place(clinic: Hospital, postgres: Any) -> None:
    """Names stand in the directory and with the participants; nowhere else in the database."""
    person = {"kind": "patient", "reference": "p-9", "display_name": "Zzyzx Quux"}
    with_directory(clinic, person)
    make_appointment(clinic, patient_reference="p-9")
    tables = {
        line.split()[2]
        for line in dump(postgres).splitlines()
        if "Zzyzx" in line and "INSERT" in line
    }
    assert tables == {"clinical.patients", "teleconference.participants"}


def test_reading_needs_its_own_scope(clinic: Hospital, services: Services) -> None:
    """A program that plans need not read, and the other way round."""
    scopes = [scope for scope in SCOPES if scope != "appointments:read"]
    planner = with_directory(admit_hospital(clinic.app, services, "Planner", scopes=scopes))
    made = make_appointment(planner)
    problem(planner.get(f"/appointments/{made['id']}"), 403, "scope_missing")


def test_the_doctor_of_the_directory_is_a_host(clinic: Hospital) -> None:
    """The patient waits to be let in, the doctor does not."""
    made = make_appointment(clinic, 5)
    assert made["provider"]["reference"] == DOCTOR
    patient = clinic.app.test_client().post(f"/j/{code_of(made['people'][0])}/token").get_json()
    assert (patient["state"], patient["reason"]) == ("waiting", "not-admitted")
    doctor = clinic.app.test_client().post(f"/j/{code_of(made['people'][1])}/token").get_json()
    assert doctor["state"] == "ready"
