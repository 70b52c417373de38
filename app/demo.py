"""A small demo hospital, so that a newcomer sees a call at once."""

import base64
import hmac
from collections.abc import Sequence
from datetime import datetime, timedelta
from hashlib import sha256
from typing import Any

import orjson
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access import service as access
from app.access.scopes import resolve
from app.appointments import booking, filling
from app.appointments.models import Appointment
from app.appointments.states import OPEN
from app.audit.service import OPERATOR
from app.db.engine import Database
from app.organisations import clients, keys, service
from app.organisations.models import ApiClient, Organisation, SigningKey
from app.participants import links
from app.participants import service as participants
from app.participants.models import Participant
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.sessions.states import State
from app.web.auth import SCOPES

NAME = "Demo Hospital"
REFERENCE = "demo"
PEOPLE = [("doctor", "Dr. Ada Okafor"), ("patient", "Sam Rivera")]
DIRECTORY = [
    {"kind": "provider", "reference": "doctor-1", "display_name": "Dr. Ada Okafor"},
    {"kind": "provider", "reference": "doctor-2", "display_name": "Dr. Nils Lindqvist"},
    {"kind": "patient", "reference": "patient-1", "display_name": "Sam Rivera"},
    {"kind": "patient", "reference": "patient-2", "display_name": "Jo Meier", "language": "de"},
    {"kind": "patient", "reference": "patient-3", "display_name": "Lou Petit", "language": "fr"},
]
# Who sees whom, and in how many minutes.
TODAY = [
    ("patient-1", "doctor-1", 0),
    ("patient-2", "doctor-2", 60),
    ("patient-3", "doctor-1", 120),
]
LASTING = timedelta(minutes=30)
# The open session waits for its two windows however long; appointments keep the usual rules.
SETTINGS = {
    "end_empty_after_s": 86_400,
    "end_forgotten_after_s": 604_800,
    "visit_types": {"consultation": {"end_empty_after_s": 900, "end_forgotten_after_s": 14_400}},
}


def seed(services: Services, *, issuer: str | None, now: datetime) -> dict[str, Any]:
    """Make sure the demo hospital, its client, an open session and a few appointments exist; return
    how to use them.

    Args:
        issuer: the OpenID Connect issuer of its staff, if it has one.
    """
    secret = _secret(services)
    with services.database.begin() as db:
        _ensure_key(db, services, now)
        organisation = _ensure_organisation(db, now)
        client = _ensure_client(db, organisation, secret, now)
        if issuer:
            _ensure_issuer(db, services, organisation, issuer, now)
        session = _ensure_session(db, services, organisation, now)
        urls = {role: _link(db, services, session, role, now) for role, _ in PEOPLE}
        found = {
            "client_id": str(client.id),
            "client_secret": secret,
            "session_id": str(session.id),
            **{f"{role}_link": url for role, url in urls.items()},
        }
    return {**found, "appointments": _appointments(services, organisation, now)}


def _secret(services: Services) -> str:
    """Derive the demo client's secret, so that every start can print it again."""
    key = services.settings.link_keys[-1].secret
    return base64.urlsafe_b64encode(hmac.digest(key, b"demo client", sha256)).decode().rstrip("=")


def _ensure_key(db: Session, services: Services, now: datetime) -> None:
    if db.scalars(select(SigningKey).limit(1)).first() is None:
        keys.rotate(db, services.vault, token_ttl=keys.PUBLISH_AHEAD, now=now)
        db.flush()


def _ensure_organisation(db: Session, now: datetime) -> Organisation:
    found = db.scalars(select(Organisation).where(Organisation.name == NAME)).first()
    if found:
        return found
    made = service.create_organisation(db, name=NAME, locale="en", now=now)
    made.settings = SETTINGS
    db.flush()
    return made


def _ensure_client(
    db: Session, organisation: Organisation, secret: str, now: datetime
) -> ApiClient:
    mine = select(ApiClient).where(ApiClient.organisation_id == organisation.id)
    found = db.scalars(mine.where(ApiClient.name == NAME)).first()
    if found:
        found.scopes = sorted(SCOPES)  # an older version may have known fewer
        return found
    made = clients.create_client(
        db,
        organisation_id=organisation.id,
        name=NAME,
        scopes=sorted(SCOPES),
        secret=secret,
        now=now,
    )
    db.flush()
    return made.client


def _ensure_issuer(
    db: Session, services: Services, organisation: Organisation, issuer: str, now: datetime
) -> None:
    """Let this issuer vouch for the doctors. One at another address was of a former start."""
    for provider in access.list_providers(db, organisation_id=organisation.id):
        if provider.issuer == issuer:
            return
        if provider.client_id == REFERENCE:
            access.remove_provider(db, provider_id=provider.id, now=now)
    access.add_provider(
        db,
        services.vault,
        organisation_id=organisation.id,
        issuer=issuer,
        client_id=REFERENCE,
        client_secret=REFERENCE,
        audience=f"{REFERENCE}-api",
        roles_claim="roles",
        name_claim="name",
        role_scopes={"doctor": resolve(["clinic"])},
        now=now,
    )


def _ensure_session(
    db: Session, services: Services, organisation: Organisation, now: datetime
) -> CareSession:
    found = db.scalars(
        select(CareSession).where(
            CareSession.organisation_id == organisation.id,
            CareSession.reference == REFERENCE,
            CareSession.state == State.ACTIVE,
        )
    ).first()
    if found:
        return found
    return sessions.create(
        db,
        organisation_id=organisation.id,
        actor=OPERATOR,
        now=now,
        kind="consultation",
        capacity=services.settings.max_room_size,
        reference=REFERENCE,
    )


def _link(db: Session, services: Services, session: CareSession, role: str, now: datetime) -> str:
    participant = _ensure_participant(db, services, session, role, now)
    link = links.live_link(db, participant_id=participant.id)
    if link is None or link.expires_at <= now:
        link = links.replace_link(db, participant, session, settings=services.settings, now=now)
    return links.url_for(link, services.settings)


def _ensure_participant(
    db: Session, services: Services, session: CareSession, role: str, now: datetime
) -> Participant:
    theirs = select(Participant).where(
        Participant.session_id == session.id,
        Participant.role == role,
        Participant.state != "removed",
    )
    found = db.scalars(theirs.order_by(Participant.created_at).limit(1)).first()
    if found:
        return found
    invited = participants.add(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        actor=OPERATOR,
        settings=services.settings,
        now=now,
        role=role,
        display_name=dict(PEOPLE)[role],
    )
    return invited.participant


def _appointments(
    services: Services, organisation: Organisation, now: datetime
) -> list[dict[str, Any]]:
    """Return today's open appointments with their links; made anew when there are none."""
    url = services.settings.migration_database_url
    if not url:
        return []  # only the schema's owner writes the directory
    owner = Database(url, pool_size=1, application="teleconsult-cli")
    with owner.begin() as db:
        lines = [orjson.dumps(person) for person in DIRECTORY]
        filling.fill(db, organisation_id=organisation.id, lines=lines, now=now)
    owner.dispose()
    with services.database.begin() as db:
        planned = _planned(db, organisation, now) or [
            _plan(db, services, organisation, who, now) for who in TODAY
        ]
        return [_shown(db, services, appointment, now) for appointment in planned]


def _planned(db: Session, organisation: Organisation, now: datetime) -> Sequence[Appointment]:
    mine = select(Appointment).where(
        Appointment.organisation_id == organisation.id,
        Appointment.reference.like(f"{REFERENCE}-%"),
        Appointment.status.in_(OPEN),
        Appointment.planned_end > now,
    )
    return db.scalars(mine.order_by(Appointment.planned_start)).all()


def _plan(
    db: Session,
    services: Services,
    organisation: Organisation,
    who: tuple[str, str, int],
    now: datetime,
) -> Appointment:
    patient, provider, minutes = who
    start = now + timedelta(minutes=minutes)
    return booking.make(
        db,
        organisation_id=organisation.id,
        actor=OPERATOR,
        settings=services.settings,
        now=now,
        start=start,
        end=start + LASTING,
        visit_type="consultation",
        patient_reference=patient,
        provider_reference=provider,
        reference=f"{REFERENCE}-{patient}",
    ).appointment


def _shown(
    db: Session, services: Services, appointment: Appointment, now: datetime
) -> dict[str, Any]:
    session = db.get_one(CareSession, appointment.session_id)
    return {
        "appointment_id": str(appointment.id),
        "start": appointment.planned_start.isoformat(timespec="minutes"),
        "patient": appointment.patient.display_name,
        "doctor": appointment.provider.display_name,
        **{f"{role}_link": _link(db, services, session, role, now) for role, _ in PEOPLE},
    }
