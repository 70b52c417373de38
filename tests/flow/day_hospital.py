"""The hospitals of the clinic day: each with programs, services of its own, and a webhook."""

import threading
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from email import policy
from email.parser import BytesParser
from pathlib import Path
from typing import Any
from uuid import UUID

import requests
from sqlalchemy import TextClause, select, text

from app.clock import utc_now
from app.directory import service as directory
from app.events.models import Event
from app.localstack import LocalStack
from app.notifications.kinds import Kind
from app.notifications.notice import kind_words
from app.organisations import clients
from app.organisations import service as organisations
from app.services import Services
from app.web.auth import SCOPES
from tests.flow.clinic import until
from tests.flow.day_script import DAY, PROTOCOLS, Visit
from tests.flow.delivery import Receiver
from tests.hospital_services import HospitalService, fhir_person, rest_person, serving
from tests.stack_client import StackClient, sign_in

# Messages that can wait are not held back, whatever time of the day the tests run at; links open
# hours before the plan; and one kind of visit has a door.
POLICY = {
    "early_join_s": 4 * 3600,
    "quiet_from": "00:00",
    "quiet_to": "00:00",
    "waiting_room": False,
    "visit_types": {"door": {"waiting_room": True}},
}
SAID_WITHIN_S = 30.0
UNPLANNED = text("""
    SELECT count(*) FROM teleconference.events
    WHERE session_id = :session AND relayed_at IS NULL""")
UNSAID = text("""
    SELECT count(*) FROM teleconference.notifications
    WHERE session_id = :session AND state = 'pending'""")
LET_PASS = text("""
    UPDATE teleconference.notifications SET next_attempt_at = :now
    WHERE session_id = :session AND state = 'pending' AND next_attempt_at > :now""")


@dataclass
class Inbox:
    """What the SMTP server took in, each mail read once: counted by address and kind."""

    stack: LocalStack
    subjects: dict[str, str] = field(default_factory=dict)
    counted: Counter[tuple[str, str]] = field(default_factory=Counter)
    ids: set[str] = field(default_factory=set)
    _seen: set[Path] = field(default_factory=set)
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def know(self, organisation: str) -> None:
        """Tell the kinds of messages apart by what their subjects say."""
        for kind in Kind:
            subject = kind_words("en", kind)["subject"].replace("{organisation}", organisation)
            self.subjects[subject] = kind

    def received(self) -> Counter[tuple[str, str]]:
        """Return how many mails of each kind came for each address."""
        with self._lock:
            for path in set(self.stack.mail.mails()) - self._seen:
                mail = BytesParser(policy=policy.default).parsebytes(path.read_bytes())
                self._seen.add(path)
                self.ids.add(mail["Message-ID"])
                self.counted[mail["X-Envelope-To"], self.subjects[mail["Subject"]]] += 1
            return Counter(self.counted)


@dataclass
class DayHospital:
    """One hospital. `services` look behind the scenes."""

    name: str
    id: UUID
    stack: LocalStack
    services: Services
    inbox: Inbox
    client: StackClient
    reviewer: StackClient
    patients: HospitalService
    doctors: HospitalService
    receiver: Receiver

    def address(self, reference: str) -> str:
        """Return somebody's e-mail address."""
        return f"{reference}@{self.name}.example"

    def do(self, method: str, path: str, **options: Any) -> requests.Response:
        """Have the hospital do something that must work."""
        answer = self.client.call(method, path, **options)
        assert answer.ok, answer.text
        return answer

    def events_of(self, session_id: str, roles: Mapping[str, str]) -> list[tuple[str, str]]:
        """Return what happened in a session, each with the role of the person it is about."""
        query = select(Event.type, Event.data).where(Event.session_id == UUID(session_id))
        with self.services.database.begin() as db:
            rows = db.execute(query.order_by(Event.sequence)).all()
        return [(type_, roles.get(data.get("participant_id", ""), "")) for type_, data in rows]

    def mails_of(self, visit: Visit) -> Counter[tuple[str, str]]:
        """Return the mails to the people of a visit, by kind and role."""
        roles = {self.address(f"{visit.name}-{role}"): role for role in visit.people}
        return Counter(
            {
                (kind, roles[address]): count
                for (address, kind), count in self.inbox.received().items()
                if address in roles
            }
        )

    def let_time_pass(self, session_id: str) -> None:
        """Make due what was to be said later, as a clock would."""
        session = {"session": UUID(session_id)}
        assert until(lambda: self._count(UNPLANNED, session) == 0, SAID_WITHIN_S)
        with self.services.database.begin() as db:
            db.execute(LET_PASS, {"session": UUID(session_id), "now": utc_now()})
        assert until(lambda: self._count(UNSAID, session) == 0, SAID_WITHIN_S)

    def _count(self, query: TextClause, parameters: Mapping[str, Any]) -> int:
        with self.services.database.begin() as db:
            return int(db.scalar(query, parameters) or 0)


@contextmanager
def hospital(name: str, services: Services, stack: LocalStack, inbox: Inbox) -> Iterator[Any]:
    """Open a hospital: connected to its services, subscribed to all events, with its policy."""
    protocol = PROTOCOLS[name]
    with ExitStack() as open_:
        patients = open_.enter_context(serving(protocol))
        doctors = open_.enter_context(serving(protocol))
        receiver = Receiver()
        open_.callback(receiver.close)
        organisation_id, programs = _organisation(name, services, stack, patients, doctors)
        inbox.know(f"Hospital {name}")
        made = DayHospital(
            name,
            organisation_id,
            stack,
            services,
            inbox,
            programs[0],
            programs[1],
            patients,
            doctors,
            receiver,
        )
        _employ(made)
        _decide(made)
        yield made


def _organisation(
    name: str,
    services: Services,
    stack: LocalStack,
    patients: HospitalService,
    doctors: HospitalService,
) -> tuple[UUID, list[StackClient]]:
    now = utc_now()
    with services.database.begin() as db:
        organisation_id = organisations.create_organisation(
            db, name=f"Hospital {name}", locale="en", now=now
        ).id
        made = [
            clients.create_client(
                db, organisation_id=organisation_id, name=program, scopes=tuple(SCOPES), now=now
            )
            for program in ("EHR", "security")
        ]
        directory.connect(
            db,
            organisation_id=organisation_id,
            protocol=PROTOCOLS[name],
            patients_url=patients.url,
            providers_url=doctors.url,
            token=None,
            now=now,
        )
    return organisation_id, [sign_in(stack, str(one.client.id), one.secret) for one in made]


def _employ(made: DayHospital) -> None:
    """Have the hospital's services know everybody who has an appointment."""
    for visit in (one for one in DAY if one.hospital == made.name):
        for service, role, kind in (
            (made.patients, "patient", "Patient"),
            (made.doctors, "doctor", "Practitioner"),
        ):
            reference = f"{visit.name}-{role}"
            service.people[reference] = _person(made, reference, kind)


def _person(made: DayHospital, reference: str, kind: str) -> dict[str, Any]:
    address = made.address(reference)
    if PROTOCOLS[made.name] == "rest":
        return rest_person(f"Some {kind}", email=address)
    telecom = [{"system": "email", "value": address}]
    return fhir_person(kind, reference, f"Some {kind}", telecom=telecom)


def _decide(made: DayHospital) -> None:
    tag = made.do("GET", "/organisation").headers["ETag"]
    made.do("PATCH", "/organisation", json={"policy": POLICY}, headers={"If-Match": tag})
    path = "/webhooks"
    made.receiver.secret = made.client.make(path, {"url": made.receiver.url})["secret"]
