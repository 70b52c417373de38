"""Files as the people in the live room hear of them: Jitsi's own list, and a message.

The list is Prosody's to keep: it asks us what there is whenever something may have changed, and
shows each person what they may see. No name of a file is written down for that.
"""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session, aliased

from app.audit import service as audit
from app.files import sight
from app.files.kinds import RULES, Kind
from app.files.models import SessionFile
from app.files.states import State
from app.organisations.models import Organisation
from app.participants import presence
from app.participants.models import Participant
from app.rooms import call_orders
from app.rooms.orders import Target
from app.sessions.models import CareSession
from app.sessions.states import OVER

# Events after which the list is another one.
CHANGES = frozenset({"file.available", "file.refused", "file.quarantined", "file.deleted"})
ON_THE_WAY = (State.UPLOADING, State.SCANNING)
# Without the file's name, which may speak of a patient.
SHARED = {
    "en": "A new file is here: {kind}.",
    "de": "Eine neue Datei ist da: {kind}.",
    "fr": "Un nouveau fichier est là : {kind}.",
}
REFUSED = {
    "en": "The file you shared was checked and refused. Nobody gets it.",
    "de": "Die Datei, die Sie geteilt haben, wurde geprüft und abgelehnt. Niemand bekommt sie.",
    "fr": "Le fichier que vous avez partagé a été vérifié et refusé. Personne ne le reçoit.",
}
KINDS = {
    "en": ("picture", "X-ray", "document", "prescription", "report"),
    "de": ("Bild", "Röntgenbild", "Dokument", "Rezept", "Bericht"),
    "fr": ("image", "radiographie", "document", "ordonnance", "compte rendu"),
}


def show(db: Session, session_id: UUID, *, now: datetime) -> None:
    """Order that the room's list is brought up to date, unless nobody can be there any more."""
    session = db.get_one(CareSession, session_id)
    if session.state not in OVER:
        call_orders.show_files(db, Target.of(session), now=now)


def listed(db: Session, room: str, *, now: datetime) -> list[dict[str, Any]]:
    """Return what Jitsi's list may show in a room: files that are there and that nothing has taken
    the place of, with the permission it takes to see each; and, for who shares them, those on
    their way. The audit log says that the room was told of them."""
    session = db.scalars(select(CareSession).where(CareSession.room_name == room)).first()
    if session is None or session.state in OVER:
        return []
    names = _names(db, session)
    files = [_entry(file, names) for file in _files(db, session.id)]
    audit.record(
        db,
        action="file.listed",
        actor=audit.ROOM,
        now=now,
        organisation_id=session.organisation_id,
        session_id=session.id,
        detail={"files": len(files)},
    )
    return files


def messages(db: Session, file: SessionFile) -> list[tuple[UUID, str]]:
    """Return what to say to whom in the room of a file that was checked: who may see it hears that
    it is there, and who shared it by Jitsi's button, that it was refused."""
    inside = [person for person, _ in presence.people_inside(db, file.session_id)]
    if file.state != State.AVAILABLE:
        return [
            (person.id, REFUSED[person.locale])
            for person in inside
            if file.jitsi_id and sight.is_sharer(person.id, file)
        ]
    session = db.get_one(CareSession, file.session_id)
    return [
        (person.id, SHARED[person.locale].format(kind=_kind_in(person.locale, file.kind)))
        for person in inside
        if not sight.is_sharer(person.id, file)
        and sight.may_see(sight.permissions_of(db, person, session.kind), person.id, file)
    ]


def _files(db: Session, session_id: UUID) -> Sequence[SessionFile]:
    later = aliased(SessionFile)
    superseded = (
        select(later.id)
        .where(later.supersedes_id == SessionFile.id, later.state == State.AVAILABLE)
        .exists()
    )
    own = (SessionFile.shared_by_kind == "participant") & SessionFile.state.in_(ON_THE_WAY)
    query = select(SessionFile).where(
        SessionFile.session_id == session_id,
        ((SessionFile.state == State.AVAILABLE) & ~superseded) | own,
    )
    return db.scalars(query.order_by(SessionFile.created_at, SessionFile.id)).all()


def _names(db: Session, session: CareSession) -> dict[str, str]:
    """Return what people are called by whom a file may be; '' is the hospital."""
    people = select(Participant.id, Participant.display_name).where(
        Participant.session_id == session.id
    )
    organisation = db.get_one(Organisation, session.organisation_id)
    return {"": organisation.name, **{str(person): name for person, name in db.execute(people)}}


def _entry(file: SessionFile, names: dict[str, str]) -> dict[str, Any]:
    sharer = file.shared_by if file.shared_by_kind == "participant" else ""
    return {
        "id": file.jitsi_id or file.id,
        "name": file.name,
        "size_bytes": file.size_bytes,
        "shared_at": int(file.created_at.timestamp() * 1000),
        "shared_by": sharer,
        "shared_by_name": names.get(sharer, names[""]),
        "permission": str(RULES[Kind(file.kind)].seen_by),
        "pending": file.state != State.AVAILABLE,
    }


def _kind_in(locale: str, kind: str) -> str:
    return KINDS[locale][list(Kind).index(Kind(kind))]
