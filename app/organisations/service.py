"""Organisations and the programs that call the API for them."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import bindparam, or_, select, update
from sqlalchemy.engine import Connection
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import OPERATOR, STRANGER, Actor
from app.errors import NotFound, Unauthorized
from app.ids import new_id
from app.organisations.models import ApiClient, Organisation

SECRET_BYTES = 32
USE_NOTED_EVERY = timedelta(minutes=1)
OWNER = select(ApiClient.id, ApiClient.organisation_id).where(
    ApiClient.id == bindparam("client_id")
)


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its secret, which is shown once and stored as a hash."""

    client: ApiClient
    secret: str


def create_organisation(db: Session, *, name: str, locale: str, now: datetime) -> Organisation:
    """Create a tenant."""
    organisation = Organisation(
        id=new_id(), name=name, locale=locale, permissions={}, created_at=now
    )
    db.add(organisation)
    db.flush()
    return organisation


def create_client(
    db: Session,
    *,
    organisation_id: UUID,
    name: str,
    scopes: Sequence[str],
    now: datetime,
    secret: str | None = None,
) -> NewClient:
    """Create a program's credentials.

    Raises:
        NotFound: there is no such organisation.
    """
    if db.get(Organisation, organisation_id) is None:
        raise NotFound("There is no such organisation.", code="organisation_not_found")
    secret = secret or secrets.token_urlsafe(SECRET_BYTES)
    client = ApiClient(
        id=new_id(),
        organisation_id=organisation_id,
        name=name,
        secret_hash=_hash(secret),
        scopes=list(scopes),
        created_at=now,
    )
    db.add(client)
    audit.record(
        db,
        action="client.created",
        actor=OPERATOR,
        now=now,
        organisation_id=organisation_id,
        detail={"client_id": str(client.id), "scopes": list(scopes)},
    )
    return NewClient(client, secret)


def revoke_client(db: Session, *, client_id: UUID, now: datetime) -> None:
    """Take a program's credentials away. Revoking twice is no error.

    Raises:
        NotFound: there is no such client.
    """
    client = db.get(ApiClient, client_id)
    if client is None:
        raise NotFound("There is no such client.", code="client_not_found")
    client.revoked_at = client.revoked_at or now
    audit.record(
        db,
        action="client.revoked",
        actor=OPERATOR,
        now=now,
        organisation_id=client.organisation_id,
        detail={"client_id": str(client_id)},
    )


def permit(
    db: Session,
    *,
    organisation_id: UUID,
    role: str,
    permission: str,
    allow: bool | None,
    now: datetime,
) -> dict[str, dict[str, bool]]:
    """Allow or deny a role something in one organisation; None returns to the default table.

    Returns the organisation's overrides as they are now: {role: {permission: bool}}.

    Raises:
        NotFound: there is no such organisation.
    """
    organisation = db.get(Organisation, organisation_id, with_for_update=True)
    if organisation is None:
        raise NotFound("There is no such organisation.", code="organisation_not_found")
    decided = {**organisation.permissions.get(role, {}), permission: allow}
    kept = {name: allowed for name, allowed in decided.items() if allowed is not None}
    organisation.permissions = {**organisation.permissions, role: kept}
    detail = {"role": role, "permission": permission, "allow": allow}
    audit.record(
        db,
        action="organisation.permitted",
        actor=OPERATOR,
        now=now,
        organisation_id=organisation_id,
        detail=detail,
    )
    return organisation.permissions


def authenticate(db: Session, *, client_id: str, secret: str, now: datetime) -> ApiClient:
    """Return the client that proves to hold its secret.

    Raises:
        Unauthorized: unknown, revoked, or the wrong secret; the caller cannot tell which.
    """
    client = db.get(ApiClient, _uuid(client_id))
    stored = client.secret_hash if client else bytes(32)
    matches = hmac.compare_digest(stored, _hash(secret))
    if client is None or client.revoked_at is not None or not matches:
        raise Unauthorized(
            "The client id or the secret is wrong, or the client was revoked.",
            code="client_invalid",
        )
    _note_use(db, client, now)
    audit.record(
        db,
        action="client.signed_in",
        actor=Actor("client", str(client.id)),
        now=now,
        organisation_id=client.organisation_id,
    )
    return client


def audit_refusal(db: Connection, *, client_id: str, now: datetime) -> None:
    """Note a failed sign-in; the id is kept only when it is one of ours."""
    client = db.execute(OWNER, {"client_id": _uuid(client_id)}).first()
    audit.record(
        db,
        action="client.signed_in",
        actor=Actor("client", str(client.id)) if client else STRANGER,
        now=now,
        organisation_id=client.organisation_id if client else None,
        refused=True,
        detail={"code": "client_invalid"},
    )


def _note_use(db: Session, client: ApiClient, now: datetime) -> None:
    """Remember the last use to the minute, so that signing in is not a write each time."""
    unused = or_(ApiClient.last_used_at.is_(None), ApiClient.last_used_at < now - USE_NOTED_EVERY)
    db.execute(update(ApiClient).where(ApiClient.id == client.id, unused).values(last_used_at=now))


def _hash(secret: str) -> bytes:
    # The secret has 256 random bits, so a plain hash cannot be guessed from; no slow one is needed.
    return sha256(secret.encode()).digest()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
