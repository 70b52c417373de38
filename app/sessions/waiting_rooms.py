"""Whether people wait to be admitted: what a session asks for, else its organisation's policy."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.organisations.models import Organisation
from app.organisations.policy import Policy


def decided(db: Session, organisation_id: UUID, visit_type: str | None, asked: bool | None) -> bool:
    """Return what was asked for, else what the organisation decided for this kind of visit."""
    if asked is not None:
        return asked
    settings = db.scalar(select(Organisation.settings).where(Organisation.id == organisation_id))
    return Policy.of(settings or {}, visit_type).waiting_room
