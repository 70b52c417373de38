"""Organisations, and what they decide differently from the default."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import OPERATOR
from app.errors import NotFound
from app.ids import new_id
from app.organisations.models import Organisation


def create_organisation(db: Session, *, name: str, locale: str, now: datetime) -> Organisation:
    """Create a tenant."""
    organisation = Organisation(
        id=new_id(),
        name=name,
        locale=locale,
        permissions={},
        settings={},
        version=1,
        created_at=now,
    )
    db.add(organisation)
    db.flush()
    return organisation


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
