"""Whether people wait to be admitted: what a session asks for, else its organisation's policy."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.organisations.policy_service import policy_of


def decided(db: Session, organisation_id: UUID, visit_type: str | None, asked: bool | None) -> bool:
    """Return what was asked for, else what the organisation decided for this kind of visit."""
    if asked is not None:
        return asked
    return policy_of(db, organisation_id, visit_type).waiting_room
