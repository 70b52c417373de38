"""The hospitals' own identity providers: whom they vouch for, and what that person may do."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID, uuid5

from sqlalchemy import select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.orm import Session

from app.access.models import IdentityProvider
from app.access.scopes import SCOPES
from app.audit import service as audit
from app.audit.service import OPERATOR
from app.db.constraints import conflict_of
from app.encryption import Vault
from app.errors import NotFound
from app.ids import new_id


def add_provider(
    db: Session,
    vault: Vault,
    *,
    organisation_id: UUID,
    issuer: str,
    client_id: str,
    client_secret: str | None,
    audience: str,
    roles_claim: str,
    name_claim: str,
    role_scopes: Mapping[str, Sequence[str]],
    now: datetime,
) -> IdentityProvider:
    """Let an issuer vouch for the people of one organisation.

    Raises:
        Conflict: it vouches for an organisation already.
        NotFound: there is no such organisation.
    """
    provider = IdentityProvider(
        id=new_id(),
        organisation_id=organisation_id,
        issuer=issuer,
        client_id=client_id,
        client_secret=vault.encrypt(client_secret.encode()) if client_secret else None,
        audience=audience,
        roles_claim=roles_claim,
        name_claim=name_claim,
        role_scopes={role: list(scopes) for role, scopes in role_scopes.items()},
        created_at=now,
    )
    db.add(provider)
    try:
        db.flush()
    except IntegrityError as error:
        missing = NotFound("There is no such organisation.", code="organisation_not_found")
        raise (conflict_of(error) or missing) from error
    detail = {"provider_id": str(provider.id), "issuer": issuer, "roles": provider.role_scopes}
    _audit(db, "provider.added", provider, detail, now)
    return provider


def list_providers(
    db: Session, *, organisation_id: UUID | None = None
) -> Sequence[IdentityProvider]:
    """Return the providers that are in use, oldest first; of one organisation or of all."""
    found = select(IdentityProvider).where(IdentityProvider.removed_at.is_(None))
    if organisation_id is not None:
        found = found.where(IdentityProvider.organisation_id == organisation_id)
    return db.scalars(found.order_by(IdentityProvider.created_at, IdentityProvider.id)).all()


def remove_provider(db: Session, *, provider_id: UUID, now: datetime) -> None:
    """Stop believing an issuer: its tokens and whoever signed in through it are out at once.

    Raises:
        NotFound: there is no such provider in use.
    """
    provider = db.get(IdentityProvider, provider_id)
    living = IdentityProvider.removed_at.is_(None)
    removed = db.execute(
        update(IdentityProvider)
        .where(IdentityProvider.id == provider_id, living)
        .values(removed_at=now)
        .returning(IdentityProvider.id)
    ).first()
    if provider is None or removed is None:
        raise NotFound("There is no such identity provider.", code="provider_not_found")
    _audit(db, "provider.removed", provider, {"provider_id": str(provider_id)}, now)


def provider_of(db: Session, *, provider_id: UUID) -> IdentityProvider:
    """Return a provider that is in use.

    Raises:
        NotFound: there is none.
    """
    provider = db.get(IdentityProvider, provider_id)
    if provider is None or provider.removed_at is not None:
        raise NotFound("There is no such identity provider.", code="provider_not_found")
    return provider


def provider_by_issuer(db: Session, issuer: str) -> IdentityProvider | None:
    """Return the provider whose tokens name this issuer."""
    mine = IdentityProvider.issuer == issuer
    return db.scalars(
        select(IdentityProvider).where(mine, IdentityProvider.removed_at.is_(None))
    ).first()


def subject_of(provider: IdentityProvider, sub: str) -> UUID:
    """Return the id under which our records know a person: the issuer's own may be an e-mail
    address, and no record of ours holds one."""
    return uuid5(provider.id, sub)


def scopes_of(provider: IdentityProvider, claims: Mapping[str, Any]) -> list[str]:
    """Return what a person's roles at the issuer allow here."""
    allowed = {
        scope for role in _roles(provider, claims) for scope in provider.role_scopes.get(role, [])
    }
    return [scope for scope in SCOPES if scope in allowed]


def name_of(provider: IdentityProvider, claims: Mapping[str, Any]) -> str:
    """Return the person's name as the issuer writes it; empty when it does not say."""
    name = claims.get(provider.name_claim)
    return name[:200] if isinstance(name, str) else ""


def refusal(provider: IdentityProvider, *, subject: UUID | None, code: str) -> audit.Entry:
    """Return what is to be noted when somebody did not get in through this provider."""
    return audit.Entry(
        action="staff.signed_in",
        actor=audit.Actor("user", str(subject)) if subject else audit.STRANGER,
        organisation_id=provider.organisation_id,
        refused=True,
        detail={"code": code, "provider_id": str(provider.id)},
    )


def _roles(provider: IdentityProvider, claims: Mapping[str, Any]) -> list[str]:
    value = claims.get(provider.roles_claim)
    if value is None:  # "realm_access.roles": a claim within a claim
        value = claims
        for part in provider.roles_claim.split("."):
            value = value.get(part) if isinstance(value, Mapping) else None
    if isinstance(value, str):
        return value.split()
    return [role for role in value if isinstance(role, str)] if isinstance(value, list) else []


def _audit(
    db: Session, action: str, provider: IdentityProvider, detail: Mapping[str, Any], now: datetime
) -> None:
    audit.record(
        db,
        action=action,
        actor=OPERATOR,
        now=now,
        organisation_id=provider.organisation_id,
        detail=detail,
    )
