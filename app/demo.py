"""A small demo hospital, so that a newcomer sees a call at once."""

import base64
import hmac
from datetime import datetime
from hashlib import sha256

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit.service import OPERATOR
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


def seed(services: Services, *, now: datetime) -> dict[str, str]:
    """Make sure the demo hospital, its client and an open session exist; return how to use them."""
    secret = _secret(services)
    with services.database.begin() as db:
        _ensure_key(db, services, now)
        organisation = _ensure_organisation(db, now)
        client = _ensure_client(db, organisation, secret, now)
        session = _ensure_session(db, services, organisation, now)
        urls = {role: _link(db, services, session, role, now) for role, _ in PEOPLE}
        return {
            "client_id": str(client.id),
            "client_secret": secret,
            "session_id": str(session.id),
            **{f"{role}_link": url for role, url in urls.items()},
        }


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
    return found or service.create_organisation(db, name=NAME, locale="en", now=now)


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
