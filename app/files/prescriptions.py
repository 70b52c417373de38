"""What holds for prescriptions alone: an author who may prescribe, and no replacement but by a
successor."""

from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Forbidden, Invalid, NotFound
from app.files import sight, states
from app.files.kinds import Kind
from app.files.models import SessionFile
from app.files.states import State
from app.participants import service as participants
from app.participants.permissions import Permission
from app.sessions.models import CareSession


def require_author(db: Session, session: CareSession, *, kind: str, author_id: UUID | None) -> None:
    """Refuse a prescription without somebody who answers for it, and an author of anything else.

    Raises:
        Invalid: see above.
        NotFound: there is no such person in the session.
        Forbidden: they may not prescribe.
    """
    if (kind == Kind.PRESCRIPTION) != (author_id is not None):
        raise Invalid(
            "A prescription names its author, and nothing else does.",
            code="prescription_without_author",
            field="author_id",
        )
    if author_id is None:
        return
    author = participants.get(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=author_id,
    )
    if Permission.SHARE_PRESCRIPTIONS not in sight.permissions_of(db, author, session.kind):
        raise Forbidden("This person may not prescribe.", code="author_may_not_prescribe")


def require_successible(db: Session, session: CareSession, *, kind: str, earlier_id: UUID) -> None:
    """Refuse to supersede what is no prescription of this session that is there.

    Raises:
        NotFound: there is none.
        Conflict: it is not available.
    """
    earlier = db.scalars(
        select(SessionFile).where(
            SessionFile.id == earlier_id,
            SessionFile.session_id == session.id,
            SessionFile.kind == Kind.PRESCRIPTION,
        )
    ).first()
    if earlier is None or kind != Kind.PRESCRIPTION:
        raise NotFound("There is no such prescription to supersede.", code="file_not_found")
    if earlier.state != State.AVAILABLE:
        raise states.refusal(earlier.state)
