"""Members of staff who are signed in on our pages."""

import secrets
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access.models import IdentityProvider, StaffSession
from app.access.signin import expired
from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Unauthorized
from app.ids import new_id

TOKEN_BYTES = 32
SEEN_NOTED_EVERY = timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class Lifetime:
    """How long a session lives without a sign of life, and at most."""

    idle: timedelta
    longest: timedelta


@dataclass(frozen=True, slots=True)
class SignedIn:
    """A person with a living session."""

    organisation_id: UUID
    subject: UUID
    name: str
    scopes: list[str]


def sign_in(
    db: Session,
    *,
    provider: IdentityProvider,
    sign_in_id: UUID,
    subject: UUID,
    name: str,
    scopes: list[str],
    lifetime: Lifetime,
    now: datetime,
) -> str:
    """Begin a session and return the token for the cookie.

    Raises:
        Unauthorized: this sign-in has become a session before.
    """
    token = secrets.token_urlsafe(TOKEN_BYTES)
    db.add(
        StaffSession(
            id=new_id(),
            organisation_id=provider.organisation_id,
            provider_id=provider.id,
            sign_in_id=sign_in_id,
            token_hash=_hash(token),
            subject=subject,
            name=name,
            scopes=scopes,
            created_at=now,
            last_seen_at=now,
            expires_at=now + lifetime.longest,
        )
    )
    try:
        db.flush()
    except IntegrityError as error:
        raise expired() from error
    _audit(db, "staff.signed_in", provider.organisation_id, subject, now)
    return token


def find(
    db: Session, *, token: str, lifetime: Lifetime, is_person: bool, now: datetime
) -> SignedIn:
    """Return the session of a cookie.

    Args:
        is_person: a person did something, which is noted; else only their open page asks.

    Raises:
        Unauthorized: there is none, or it has ended.
    """
    row = db.execute(
        select(
            StaffSession.id,
            StaffSession.organisation_id,
            StaffSession.subject,
            StaffSession.name,
            StaffSession.scopes,
            StaffSession.last_seen_at,
        )
        .join(IdentityProvider, IdentityProvider.id == StaffSession.provider_id)
        .where(
            StaffSession.token_hash == _hash(token),
            StaffSession.ended_at.is_(None),
            StaffSession.expires_at > now,
            StaffSession.last_seen_at > now - lifetime.idle,
            IdentityProvider.removed_at.is_(None),
        )
    ).first()
    if row is None:
        raise Unauthorized("You are not signed in any more.", code="staff_session_ended")
    if is_person and row.last_seen_at < now - SEEN_NOTED_EVERY:
        mine = StaffSession.id == row.id
        db.execute(update(StaffSession).where(mine).values(last_seen_at=now))
    return SignedIn(row.organisation_id, row.subject, row.name, row.scopes)


def sign_out(db: Session, *, token: str, now: datetime) -> None:
    """End the session of a cookie; one that has ended already stays so."""
    row = db.execute(
        update(StaffSession)
        .where(StaffSession.token_hash == _hash(token), StaffSession.ended_at.is_(None))
        .values(ended_at=now)
        .returning(StaffSession.organisation_id, StaffSession.subject)
    ).first()
    if row is not None:
        _audit(db, "staff.signed_out", row.organisation_id, row.subject, now)


def sign_out_everywhere(db: Session, *, organisation_id: UUID, subject: UUID, now: datetime) -> int:
    """End all sessions of one person; return how many there were."""
    ended = db.execute(
        update(StaffSession)
        .where(
            StaffSession.organisation_id == organisation_id,
            StaffSession.subject == subject,
            StaffSession.ended_at.is_(None),
        )
        .values(ended_at=now)
        .returning(StaffSession.id)
    ).all()
    audit.record(
        db,
        action="staff.revoked",
        actor=audit.OPERATOR,
        now=now,
        organisation_id=organisation_id,
        detail={"subject": str(subject), "sessions": len(ended)},
    )
    return len(ended)


def _hash(token: str) -> bytes:
    # 256 random bits: a plain hash cannot be guessed from.
    return sha256(token.encode()).digest()


def _audit(db: Session, action: str, organisation_id: UUID, subject: UUID, now: datetime) -> None:
    audit.record(
        db,
        action=action,
        actor=Actor("user", str(subject)),
        now=now,
        organisation_id=organisation_id,
    )
