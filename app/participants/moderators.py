"""Who moderates: a permission of one person, granted or taken during the call."""

from datetime import datetime
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.participants import service
from app.participants.models import Participant
from app.participants.permissions import Permission
from app.sessions import service as sessions
from app.sessions.models import CareSession


def set_moderator(
    db: Session,
    session: CareSession,
    *,
    participant_id: UUID,
    moderator: bool,
    actor: Actor,
    now: datetime,
) -> Participant:
    """Let a person moderate this session, or not any more; what is so already is no error.

    Args:
        session: locked (`sessions.service.lock`).

    Raises:
        NotFound: there is no such participant.
        Conflict: the person was removed, or the session is over.
    """
    sessions.require_open(session)
    participant = service.get(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=participant_id,
    )
    service.require_present(participant)
    if participant.permissions.get(Permission.MODERATE) is not moderator:
        permissions = {**participant.permissions, str(Permission.MODERATE): moderator}
        participant.permissions = permissions
        participant.version += 1
        db.flush()
        said = {"moderator": moderator}
        service.tell(db, participant, "participant.moderator_changed", actor=actor, now=now, **said)
    return participant
