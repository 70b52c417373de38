"""Who of a session sees which files."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.errors import Forbidden, Hidden, NotFound
from app.files.kinds import RULES, Kind
from app.files.models import SessionFile
from app.organisations.models import Organisation
from app.participants.models import Participant
from app.participants.permissions import Permission, effective
from app.sessions.models import CareSession


def may_see(permissions: frozenset[Permission], participant_id: UUID, file: SessionFile) -> bool:
    """Tell whether somebody of the session may open a file that is there."""
    return RULES[Kind(file.kind)].seen_by in permissions or is_sharer(participant_id, file)


def require_seen(
    permissions: frozenset[Permission], participant_id: UUID, file: SessionFile
) -> None:
    """Refuse whoever may not open a file, as if it were not there.

    Raises:
        Hidden: their part in the session does not see such files.
    """
    if not may_see(permissions, participant_id, file):
        raise Hidden("There is no such file in this session.", code="file_not_found")


def is_sharer(participant_id: UUID, file: SessionFile) -> bool:
    """Tell whether somebody of the session shared this file."""
    return file.shared_by_kind == "participant" and file.shared_by == str(participant_id)


def permissions_of(db: Session, person: Participant, session_kind: str) -> frozenset[Permission]:
    """Return what somebody may do in their session."""
    organisation = db.get_one(Organisation, person.organisation_id)
    return effective(
        person.role,
        kind=session_kind,
        organisation=organisation.permissions,
        participant=person.permissions,
    )


def permissions_now(db: Session, file: SessionFile, actor: Actor) -> frozenset[Permission]:
    """Judge a person of the session anew: what an address lets them do may be over.

    Raises:
        NotFound: there is no such person in the file's session.
        Forbidden: they were removed.
    """
    person = db.get(Participant, UUID(actor.id or ""))
    if person is None or person.session_id != file.session_id:
        raise NotFound(
            "There is no such participant in this session.", code="participant_not_found"
        )
    if person.state == "removed":
        raise Forbidden("You are not in this session any more.", code="participant_removed")
    session = db.get_one(CareSession, file.session_id)
    return permissions_of(db, person, session.kind)
