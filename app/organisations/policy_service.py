"""Reading and changing an organisation and its policy."""

from collections.abc import Mapping
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Forbidden, NotFound, Stale
from app.organisations.models import Organisation
from app.organisations.policy import VISIT_TYPES, Policy, merged, shortens


def get(db: Session, *, organisation_id: UUID, lock: bool = False) -> Organisation:
    """Return one organisation.

    Raises:
        NotFound: there is none.
    """
    query = select(Organisation).where(Organisation.id == organisation_id)
    if lock:
        query = query.with_for_update(key_share=True)
    row = db.scalars(query.execution_options(populate_existing=True)).first()
    if row is None:
        raise NotFound("There is no such organisation.", code="organisation_not_found")
    return row


def policy_of(db: Session, organisation_id: UUID, visit_type: str | None = None) -> Policy:
    """Return the rules of an organisation for one kind of visit."""
    query = select(Organisation.settings).where(Organisation.id == organisation_id)
    return Policy.of(db.scalar(query) or {}, visit_type)


def change(
    db: Session,
    *,
    organisation_id: UUID,
    version: int | None,
    values: Mapping[str, Any],
    may_shorten: bool,
    actor: Actor,
    now: datetime,
) -> Organisation:
    """Change name, language or policy, if `version` is still the newest; None takes any.

    Args:
        may_shorten: whether anything may be kept for less time than before, which deletes.

    Raises:
        NotFound, Stale: see there.
        Forbidden: it would be kept for less time, and may not.
    """
    organisation = get(db, organisation_id=organisation_id, lock=True)
    if version is not None and organisation.version != version:
        raise Stale(
            "The organisation changed since you read it; read it again.", code="version_outdated"
        )
    rest = dict(values)
    policy = rest.pop("policy", {})
    for name, value in rest.items():
        setattr(organisation, name, value)
    settings = merged(organisation.settings, policy)
    if not may_shorten and shortens(organisation.settings, settings):
        raise Forbidden(
            "Who keeps things for less time deletes them: that needs the scope recordings:delete.",
            code="scope_missing",
        )
    organisation.settings = settings
    organisation.version += 1
    db.flush()
    audit.record(
        db,
        action="organisation.updated",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        # Which, not what to: a name is no business of the log.
        detail={"fields": sorted([*rest, *(f"policy.{name}" for name in policy)])},
    )
    return organisation


def shown(organisation: Organisation) -> dict[str, Any]:
    """Return the organisation as it is answered, the policy with its defaults."""
    settings = organisation.settings
    return {
        "id": organisation.id,
        "name": organisation.name,
        "locale": organisation.locale,
        "version": organisation.version,
        "policy": {**Policy.of(settings).shown(), VISIT_TYPES: settings.get(VISIT_TYPES, {})},
    }
