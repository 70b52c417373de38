"""The programs that call the API for an organisation, and their secrets."""

import hmac
import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import ColumnElement, bindparam, or_, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import OPERATOR, STRANGER, Actor, Entry
from app.errors import Conflict, NotFound, Unauthorized
from app.ids import new_id
from app.organisations.models import ApiClient, ClientSecret, Organisation

SECRET_BYTES = 32
USE_NOTED_EVERY = timedelta(minutes=1)
OWNER = select(ApiClient.id, ApiClient.organisation_id).where(
    ApiClient.id == bindparam("client_id")
)


@dataclass(frozen=True, slots=True)
class NewClient:
    """A client with its newest secret, which is shown once and stored as a hash."""

    client: ApiClient
    secret: str


@dataclass(frozen=True, slots=True)
class ListedClient:
    """A client with its secrets that are still good, oldest first."""

    client: ApiClient
    secrets: Sequence[ClientSecret]


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
    client = ApiClient(
        id=new_id(),
        organisation_id=organisation_id,
        name=name,
        scopes=list(scopes),
        created_at=now,
    )
    db.add(client)
    # The secret's row refers to it, and without a relationship SQLAlchemy does not know the order.
    db.flush()
    secret = _add_secret(db, client, secret, now)
    _audit(db, "client.created", client, now, scopes=list(scopes))
    return NewClient(client, secret)


def rotate_secret(db: Session, *, client_id: UUID, overlap: timedelta, now: datetime) -> NewClient:
    """Give a program a new secret; those it has stay good for `overlap`, or less if they already
    end sooner.

    Raises:
        NotFound: there is no such client.
        Conflict: it was revoked.
    """
    client = _locked(db, client_id)
    if client.revoked_at is not None:
        raise Conflict("This client was revoked; create another.", code="client_revoked")
    until = now + overlap
    later = or_(ClientSecret.expires_at.is_(None), ClientSecret.expires_at > until)
    db.execute(
        update(ClientSecret)
        .where(ClientSecret.client_id == client_id, later)
        .values(expires_at=until)
    )
    secret = _add_secret(db, client, None, now)
    _audit(db, "client.rotated", client, now, old_secrets_until=until.isoformat())
    return NewClient(client, secret)


def revoke_client(db: Session, *, client_id: UUID, now: datetime) -> None:
    """Take a program's credentials away. Revoking twice is no error.

    Raises:
        NotFound: there is no such client.
    """
    client = _locked(db, client_id)
    client.revoked_at = client.revoked_at or now
    _audit(db, "client.revoked", client, now)


def list_clients(db: Session, *, organisation_id: UUID | None, now: datetime) -> list[ListedClient]:
    """Return programs, oldest first; of one organisation or of all."""
    wanted = select(ApiClient).order_by(ApiClient.created_at, ApiClient.id)
    if organisation_id is not None:
        wanted = wanted.where(ApiClient.organisation_id == organisation_id)
    good: dict[UUID, list[ClientSecret]] = {}
    for secret in db.scalars(select(ClientSecret).where(_is_good(now)).order_by(ClientSecret.id)):
        good.setdefault(secret.client_id, []).append(secret)
    return [ListedClient(client, good.get(client.id, [])) for client in db.scalars(wanted)]


def authenticate(db: Session, *, client_id: str, secret: str, now: datetime) -> ApiClient:
    """Return the client that proves to hold a secret of its own.

    Raises:
        Unauthorized: unknown, revoked, or no good secret; the caller cannot tell which.
    """
    client = db.get(ApiClient, _uuid(client_id))
    mine = ClientSecret.client_id == _uuid(client_id)
    stored = db.scalars(select(ClientSecret).where(mine, _is_good(now))).all()
    shown = _hash(secret)
    matching = [one for one in stored if hmac.compare_digest(one.secret_hash, shown)]
    if client is None or client.revoked_at is not None or not matching:
        raise Unauthorized(
            "The client id or the secret is wrong, or the client was revoked.",
            code="client_invalid",
        )
    _note_use(db, matching[0], now)
    audit.record(
        db,
        action="client.signed_in",
        actor=Actor("client", str(client.id)),
        now=now,
        organisation_id=client.organisation_id,
    )
    return client


def refusal(db: Session, *, client_id: str, code: str) -> Entry:
    """Return what to note of a failed sign-in; the id is kept only when it is one of ours."""
    client = db.execute(OWNER, {"client_id": _uuid(client_id)}).first()
    return Entry(
        action="client.signed_in",
        actor=Actor("client", str(client.id)) if client else STRANGER,
        organisation_id=client.organisation_id if client else None,
        refused=True,
        detail={"code": code},
    )


def _locked(db: Session, client_id: UUID) -> ApiClient:
    client = db.get(ApiClient, client_id, with_for_update=True)
    if client is None:
        raise NotFound("There is no such client.", code="client_not_found")
    return client


def _add_secret(db: Session, client: ApiClient, secret: str | None, now: datetime) -> str:
    secret = secret or secrets.token_urlsafe(SECRET_BYTES)
    db.add(
        ClientSecret(
            id=new_id(),
            organisation_id=client.organisation_id,
            client_id=client.id,
            secret_hash=_hash(secret),
            created_at=now,
        )
    )
    return secret


def _is_good(now: datetime) -> ColumnElement[bool]:
    return or_(ClientSecret.expires_at.is_(None), ClientSecret.expires_at > now)


def _note_use(db: Session, secret: ClientSecret, now: datetime) -> None:
    """Remember the last use to the minute, so that signing in is not a write each time."""
    long_ago = now - USE_NOTED_EVERY
    unused = or_(ClientSecret.last_used_at.is_(None), ClientSecret.last_used_at < long_ago)
    this = ClientSecret.id == secret.id
    db.execute(update(ClientSecret).where(this, unused).values(last_used_at=now))


def _audit(db: Session, action: str, client: ApiClient, now: datetime, **detail: object) -> None:
    audit.record(
        db,
        action=action,
        actor=OPERATOR,
        now=now,
        organisation_id=client.organisation_id,
        detail={"client_id": str(client.id), **detail},
    )


def _hash(secret: str) -> bytes:
    # The secret has 256 random bits, so a plain hash cannot be guessed from; no slow one is needed.
    return sha256(secret.encode()).digest()


def _uuid(text: str) -> UUID:
    try:
        return UUID(text)
    except ValueError:
        return UUID(int=0)
