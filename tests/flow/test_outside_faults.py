"""Mail server, patient service, doctor service and identity provider are stopped, talk nonsense or
say nothing, all at once and on the whole stack: calls and other callers go on, nothing is lost, and
everything catches up."""

import asyncio
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit
from uuid import UUID, uuid4

import orjson
import pytest
import requests
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.scopes import resolve
from app.appointments import filling
from app.clock import utc_now
from app.db.engine import Database
from app.directory import service as directory
from app.notifications import service as notifications
from app.notifications.kinds import Channel
from app.organisations import clients
from app.organisations import service as organisations
from app.services import Services
from app.web.auth import SCOPES
from tests.api.clinic import DIRECTORY, DOCTOR, PATIENT, appointment_in
from tests.flow.clinic import Clinic, Guest, until
from tests.flow.deliveries.test_delivery_mail import mails_to
from tests.flow.xmpp_client import logged_in, room_jid
from tests.hospital_services import HospitalService, rest_person, serving
from tests.issuer import AUDIENCE, CLIENT_ID, CLIENT_SECRET, Issuer
from tests.proxy import FAULTS, Proxy
from tests.stack_client import StackClient, sign_in

WITHIN_S = 60.0
Outcome = tuple[int, str]
Met = dict[str, Outcome]


@dataclass
class Ward:
    """A hospital of its own, with a line to each of those it relies on."""

    clinic: Clinic
    program: StackClient
    provider_id: str
    patients: HospitalService
    providers: HospitalService
    issuer: Issuer
    lines: list[Proxy]
    met: Met = field(default_factory=dict)
    visit: dict[str, Any] = field(default_factory=dict)
    address: str = field(default_factory=lambda: f"{uuid4().hex}@example.org")

    def suffer(self, fault: str) -> Met:
        """Do once what needs somebody outside while nobody there is well; return what was met."""
        if not self.met:
            assert until(self.nobody_waits_for_mail, WITHIN_S)
            with broken(self.lines, fault):
                self.met = {
                    "known people": self.books(),
                    "an unknown patient": self.books(patient_reference="new"),
                    "an unknown doctor": self.books(provider_reference="new"),
                    "a person's token": self.is_a_person(),
                    "a sign-in": self.signs_in(),
                    "a visit": self.holds_a_visit(),
                    "a mail": self.invites(),
                }
        return self.met

    def books(self, **who: str) -> Outcome:
        """Book an appointment."""
        answer = self.program.call("POST", "/appointments", json=appointment_in(1) | who)
        if answer.ok and not self.visit:
            self.visit = answer.json()
        return outcome(answer)

    def is_a_person(self) -> Outcome:
        """Call the API with a token of the hospital's issuer."""
        return outcome(StackClient(self.program.url, self.issuer.token()).call("GET", "/sessions"))

    def signs_in(self) -> Outcome:
        """Press "sign in"; return where it leads."""
        url = f"{self.program.url}/staff/sign-in?provider={self.provider_id}"
        answer = requests.get(url, allow_redirects=False, timeout=15)
        return answer.status_code, answer.headers["Location"].partition("?")[0]

    def holds_a_visit(self) -> Outcome:
        """Start and end it."""
        path = f"/visits/{self.visit['id']}"
        return max(outcome(self.program.call("POST", f"{path}/{act}")) for act in ("start", "end"))

    def invites(self) -> Outcome:
        """Invite somebody by mail, and wait until that was tried."""
        session = self.program.session()
        self.program.invite(session, "patient", email=self.address)
        told = f"/sessions/{session['id']}/notifications"

        def tried() -> list[dict[str, Any]]:
            self.end_pauses()  # of others' mails, which go first
            sent = self.program.call("GET", told).json()["items"]
            return [one for one in sent if one["attempts"] and one["state"] == "pending"]

        assert until(lambda: bool(tried()), WITHIN_S)
        return 201, ""

    def nobody_waits_for_mail(self) -> bool:
        """Tell whether all messages of other tests are out: each would keep a silent server busy
        for as long as ours."""
        self.end_pauses()
        with self.clinic.services.database.begin() as db:
            waiting = notifications.due(db, limit=100, now=utc_now())
        return Channel.EMAIL not in {one.channel for one in waiting}

    def end_pauses(self) -> None:
        """Let the time pass in which a server that was silent is left alone."""
        redis = self.clinic.services.redis
        for kind in ("paused", "silences"):
            for key in redis.scan_iter(f"teleconsult:*:{kind}"):
                redis.delete(key)

    def has_caught_up(self) -> dict[str, bool]:
        """Tell what is as if nothing had been."""
        self.end_pauses()
        tail = f"/visits/{self.visit['id']}"
        return {
            "patient": self.books(patient_reference="new") == (201, ""),
            "doctor": self.books(provider_reference="new") == (201, ""),
            "token": self.is_a_person() == (200, ""),
            "sign-in": self.signs_in() == (303, f"{self.issuer.url}/authorize"),
            "patient service": last_told(self.patients, f"/{PATIENT}{tail}") == "completed",
            "doctor service": last_told(self.providers, f"/{DOCTOR}{tail}") == "completed",
            "mail": len(mails_to(self.clinic.stack, self.address)) == 1,
        }


EXPECTED: Met = {
    "known people": (201, ""),
    "an unknown patient": (503, "directory_unavailable"),
    "an unknown doctor": (503, "directory_unavailable"),
    "a person's token": (503, "issuer_unavailable"),
    "a sign-in": (303, "/staff/notice/issuer-down"),
    "a visit": (200, ""),
    "a mail": (201, ""),
}


def outcome(answer: requests.Response) -> Outcome:
    """Return status and code of an answer."""
    return answer.status_code, "" if answer.ok else answer.json()["code"]


def last_told(service: HospitalService, path: str) -> str:
    """Return the last state that a service was told of a visit."""
    return str(([""] + [body["status"] for where, body in service.told if where == path])[-1])


@contextmanager
def broken(lines: list[Proxy], fault: str) -> Iterator[None]:
    """Have nobody at the other end of these lines well."""
    for line in lines:
        line.fail(fault)
    try:
        yield
    finally:
        for line in lines:
            line.heal()


def line_to(url: str, stack: ExitStack) -> Proxy:
    """Return a line to a server on this machine."""
    line = stack.enter_context(Proxy())
    line.target_port = urlsplit(url).port or 0
    return line


def new_ward(clinic: Clinic, post: Proxy, running: ExitStack) -> Ward:
    """Make a hospital that is connected to all of them."""
    patients, providers = (running.enter_context(serving("rest")) for _ in range(2))
    patients.people["new"], providers.people["new"] = rest_person("Noa"), rest_person("Dr. New")
    issuer = running.enter_context(Issuer())
    lines = [line_to(one.url, running) for one in (patients, providers, issuer)]
    issuer.line = f"http://127.0.0.1:{lines[2].port}"
    services, now = clinic.services, utc_now()
    with services.database.begin() as db:
        hospital = organisations.create_organisation(db, name="Ward", locale="en", now=now)
        made = clients.create_client(
            db, organisation_id=hospital.id, name="EHR", scopes=tuple(SCOPES), now=now
        )
        connect(db, hospital.id, lines)
        provider_id = trust(db, services, hospital.id, issuer)
    owner = Database(services.settings.migration_database_url, pool_size=1, application="tests")
    with owner.begin() as db:
        known = [orjson.dumps(person) for person in DIRECTORY]
        filling.fill(db, organisation_id=hospital.id, lines=known, now=now)
    owner.dispose()
    program = sign_in(clinic.stack, str(made.client.id), made.secret)
    return Ward(clinic, program, provider_id, patients, providers, issuer, [*lines, post])


def connect(db: Session, organisation_id: UUID, lines: list[Proxy]) -> None:
    """Have the patient and the doctor service at the other end of the first two lines."""
    patients_url, providers_url = (f"http://127.0.0.1:{line.port}/base" for line in lines[:2])
    directory.connect(
        db,
        organisation_id=organisation_id,
        protocol="rest",
        patients_url=patients_url,
        providers_url=providers_url,
        token=None,
        now=utc_now(),
    )


def trust(db: Session, services: Services, organisation_id: UUID, issuer: Issuer) -> str:
    """Have an issuer vouch for the hospital's doctors; return the provider's id."""
    provider = access.add_provider(
        db,
        services.vault,
        organisation_id=organisation_id,
        issuer=issuer.url,
        client_id=CLIENT_ID,
        client_secret=CLIENT_SECRET,
        audience=AUDIENCE,
        roles_claim="roles",
        name_claim="name",
        role_scopes={"doctor": resolve(["clinic"])},
        now=utc_now(),
    )
    return str(provider.id)


@pytest.fixture(scope="module")
def wards(clinic: Clinic, post: Proxy) -> Iterator[dict[str, Ward]]:
    """One for each fault, so that all catch up at the same time."""
    with ExitStack() as running:
        yield {fault: new_ward(clinic, post, running) for fault in FAULTS}


@pytest.mark.parametrize("fault", FAULTS)
def test_calls_and_other_callers_go_on(clinic: Clinic, wards: dict[str, Ward], fault: str) -> None:
    """Who is in a call stays there and somebody joins them; what cannot be done says so."""
    doctor = clinic.guest()
    patient = clinic.guest("patient", doctor.session)

    async def call() -> Met:
        async with logged_in(clinic.port, doctor.token) as one:
            await one.enter(doctor.room)
            trouble = asyncio.create_task(asyncio.to_thread(wards[fault].suffer, fault))
            token = await asyncio.to_thread(exchanged, clinic, patient)
            async with logged_in(clinic.port, token) as other:
                await other.enter(patient.room)
                beside = room_jid(patient.room, other.nick)
                await one.until(lambda stanza: stanza.get("from") == beside)
                return await trouble

    assert asyncio.run(call()) == EXPECTED


def exchanged(clinic: Clinic, guest: Guest) -> str:
    """Return a token as the page gets it: as soon as the host is known to be there."""
    found: list[str] = []

    def has_come() -> bool:
        answer = requests.post(f"{clinic.hospital.url}/j/{guest.code}/token", timeout=15)
        assert answer.ok, answer.text
        found.append(answer.json().get("jwt", ""))
        return bool(found[-1])

    assert until(has_come, WITHIN_S)
    return found[-1]


@pytest.mark.parametrize("fault", FAULTS)
def test_everything_catches_up(wards: dict[str, Ward], fault: str) -> None:
    """Without anybody doing anything but letting time pass, and once."""
    ward = wards[fault]
    ward.suffer(fault)
    assert until(lambda: all(ward.has_caught_up().values()), WITHIN_S), ward.has_caught_up()
