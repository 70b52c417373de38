"""Removals for a time, and their end."""

from datetime import datetime

from sqlalchemy import select, update

from app.audit.service import SERVICE
from app.participants.models import Participant
from app.participants.service import tell
from app.services import Services
from app.sessions import service as sessions

AT_ONCE = 100


def end_removals(services: Services, *, now: datetime) -> int:
    """Let those come back whose removal was for a time that is over; return how many."""
    due = (
        select(Participant.organisation_id, Participant.session_id, Participant.id)
        .where(Participant.state == "removed", Participant.removed_until <= now)
        .order_by(Participant.removed_until)
        .limit(AT_ONCE)
    )
    with services.database.begin() as db:
        # Sessions before participants, and in one order, as everywhere.
        found = sorted(db.execute(due).all(), key=lambda row: (row.session_id, row.id))
        for organisation_id, session_id, _ in found:
            sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
        for _, _, participant_id in found:
            back = db.scalars(
                update(Participant)
                .where(
                    Participant.id == participant_id,
                    Participant.state == "removed",
                    Participant.removed_until <= now,
                )
                .values(
                    state="left",
                    removed_at=None,
                    removed_until=None,
                    version=Participant.version + 1,
                )
                .returning(Participant)
                .execution_options(synchronize_session=False)
            ).first()
            if back is not None:
                tell(db, back, "participant.updated", actor=SERVICE, now=now, fields=["state"])
        return len(found)
