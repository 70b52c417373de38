"""Honest tokens at the wrong door or the wrong time: refused at the conference request or at the
entry, with the reason, and audited."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from uuid import uuid4

import pytest

from app.clock import utc_now
from app.ids import new_room_name
from app.localstack import names
from app.organisations import clients
from app.organisations import service as organisations
from app.web.auth import SCOPES
from tests.flow.clinic import Clinic, Guest
from tests.flow.refused import at_entry, at_request
from tests.flow.xmpp_client import logged_in
from tests.stack_client import sign_in

REQUEST, ENTRY = "conference", "room"


@dataclass(frozen=True, slots=True)
class Attempt:
    """Who tries to enter which room with which token."""

    token: str
    room: str
    muc: str = names.MUC
    to: str = names.FOCUS


@dataclass(frozen=True, slots=True)
class Case:
    """One wrong attempt, where it must end, and with which code."""

    name: str
    code: str
    stage: str
    arrange: Callable[[Clinic], Attempt]


# --- attempts, each with an honest signature


def another_room(clinic: Clinic) -> Attempt:
    return Attempt(clinic.guest().token, clinic.guest().room)


def own_seat_another_room_in_the_token(clinic: Clinic) -> Attempt:
    mine, other = clinic.guest(), clinic.guest()
    return Attempt(clinic.resigned(mine.claims, room=other.room), other.room)


def another_organisations_room(clinic: Clinic) -> Attempt:
    return Attempt(clinic.guest().token, guest_of_another_hospital(clinic).room)


def any_room(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    return Attempt(clinic.resigned(guest.claims, room="*"), guest.room)


def unknown_room(clinic: Clinic) -> Attempt:
    name = new_room_name()
    claims = {**clinic.guest().claims, "room": name}
    claims["teleconsult"] = {**claims["teleconsult"], "link": str(uuid4())}
    return Attempt(clinic.resigned(claims), name)


def another_domains_room(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    return Attempt(guest.token, guest.room, muc="conference.meet.example")


def another_spelling_of_the_room(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    return Attempt(guest.token, guest.room.upper())


def focus_at_its_own_address(clinic: Clinic) -> Attempt:
    return Attempt(clinic.guest().token, clinic.guest().room, to=f"{names.FOCUS_USER}/focus")


def unknown_person(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    user = {**guest.claims["context"]["user"], "id": str(uuid4())}
    return Attempt(clinic.resigned(guest.claims, context={"user": user}), guest.room)


def person_whose_id_is_none(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    return Attempt(clinic.resigned(guest.claims, context={"user": {"id": "admin"}}), guest.room)


def link_of_somebody_else(clinic: Clinic) -> Attempt:
    patient = clinic.guest("patient")
    doctor = clinic.guest("doctor", patient.session)
    theirs = {"teleconsult": doctor.claims["teleconsult"]}
    return Attempt(clinic.resigned(patient.claims, **theirs), patient.room)


def no_link(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    return Attempt(clinic.resigned(guest.claims, teleconsult={}), guest.room)


def removed_person(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    clinic.remove(guest)
    return Attempt(guest.token, guest.room)


def ended_session(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    clinic.do("POST", f"/sessions/{guest.session['id']}/end")
    return Attempt(guest.token, guest.room)


def cancelled_session(clinic: Clinic) -> Attempt:
    guest = planned(clinic, starts_in_s=60)
    clinic.do("POST", f"/sessions/{guest.session['id']}/cancel")
    return Attempt(guest.token, guest.room)


def too_early(clinic: Clinic) -> Attempt:
    guest = planned(clinic, starts_in_s=7200)
    return Attempt(guest.token, guest.room)


def replaced_link(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    clinic.do("POST", f"{guest.path}/link")
    return Attempt(guest.token, guest.room)


def expired_link(clinic: Clinic) -> Attempt:
    guest = clinic.guest()
    clinic.expire_link(guest)
    return Attempt(guest.token, guest.room)


def patient_before_the_host(clinic: Clinic) -> Attempt:
    guest = clinic.guest("patient")
    return Attempt(guest.token, guest.room)


def patient_who_says_doctor(clinic: Clinic) -> Attempt:
    """The role in the token is for the client; rights come from the service."""
    guest = clinic.guest("patient")
    ours = {**guest.claims["teleconsult"], "role": "doctor"}
    user = {**guest.claims["context"]["user"], "affiliation": "owner", "moderator": True}
    token = clinic.resigned(guest.claims, teleconsult=ours, context={"user": user})
    return Attempt(token, guest.room)


CASES = [
    Case("another room", "wrong-room", REQUEST, another_room),
    Case("token for another room", "wrong-room", REQUEST, own_seat_another_room_in_the_token),
    Case("another organisation's room", "wrong-room", REQUEST, another_organisations_room),
    Case("room *", "wrong-room", REQUEST, any_room),
    Case("unknown room", "unknown-room", REQUEST, unknown_room),
    Case("another domain's room", "unknown-room", REQUEST, another_domains_room),
    Case("another spelling of the room", "unknown-room", REQUEST, another_spelling_of_the_room),
    Case("straight to the focus user", "wrong-room", REQUEST, focus_at_its_own_address),
    Case("unknown person", "unknown-participant", REQUEST, unknown_person),
    Case("person without one of our ids", "unknown-participant", REQUEST, person_whose_id_is_none),
    Case("link of somebody else", "unknown-participant", REQUEST, link_of_somebody_else),
    Case("no link", "unknown-participant", REQUEST, no_link),
    Case("removed person", "removed", REQUEST, removed_person),
    Case("ended session", "session-ended", REQUEST, ended_session),
    Case("cancelled session", "session-cancelled", REQUEST, cancelled_session),
    Case("too early", "too-early", REQUEST, too_early),
    Case("link was replaced", "link-revoked", REQUEST, replaced_link),
    Case("link has expired", "link-expired", REQUEST, expired_link),
    Case("patient before the host", "waiting-for-host", ENTRY, patient_before_the_host),
    Case("patient who says doctor", "waiting-for-host", ENTRY, patient_who_says_doctor),
]


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.name)
def test_a_wrong_attempt_is_refused(clinic: Clinic, case: Case) -> None:
    """The login succeeds, since the token is honest; the room stays shut."""
    attempt, began = case.arrange(clinic), utc_now()

    async def try_it() -> None:
        async with logged_in(clinic.port, attempt.token) as client:
            with at_request(case.stage == REQUEST, case.code):
                await client.request_conference(attempt.room, to=attempt.to, muc=attempt.muc)
            with at_entry("no-conference" if case.stage == REQUEST else case.code):
                await client.join(attempt.room)

    asyncio.run(try_it())
    assert clinic.audited(began, code=case.code).action == "room.entry_refused"


def test_another_hospital_sees_nothing(clinic: Clinic) -> None:
    """Over the API, a session of another organisation does not exist."""
    theirs = guest_of_another_hospital(clinic)
    for method, path in [("GET", ""), ("POST", "/start"), ("POST", "/end")]:
        answer = clinic.hospital.call(method, f"/sessions/{theirs.session['id']}{path}")
        assert (answer.status_code, answer.json()["code"]) == (404, "session_not_found")


def planned(clinic: Clinic, *, starts_in_s: int) -> Guest:
    """Invite a doctor to a session that is only planned."""
    start = utc_now() + timedelta(seconds=starts_in_s)
    return clinic.guest("doctor", clinic.hospital.session(planned_start=start.isoformat()))


def guest_of_another_hospital(clinic: Clinic) -> Guest:
    """Make another organisation with an open session and a doctor."""
    with clinic.services.database.begin() as db:
        other = organisations.create_organisation(db, name="Other", locale="en", now=utc_now())
        made = clients.create_client(
            db,
            organisation_id=other.id,
            name="Other",
            scopes=sorted(SCOPES),
            now=utc_now(),
        )
        client_id, secret = str(made.client.id), made.secret
    program = sign_in(clinic.stack, client_id, secret)
    return replace(clinic, hospital=program).guest()
