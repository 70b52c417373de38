"""Who of a session sees which files."""

from uuid import UUID

from sqlalchemy.orm import Session

from app.files.kinds import RULES, Kind
from app.files.models import SessionFile
from app.organisations.models import Organisation
from app.participants.models import Participant
from app.participants.permissions import Permission, effective


def may_see(permissions: frozenset[Permission], participant_id: UUID, file: SessionFile) -> bool:
    """Tell whether somebody of the session may open a file that is there."""
    return RULES[Kind(file.kind)].seen_by in permissions or is_sharer(participant_id, file)


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
