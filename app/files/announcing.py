"""Files of a session begin: who may share what, and how much of it."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.errors import Conflict, Forbidden, Invalid
from app.files import names, prescriptions, service
from app.files.kinds import MIB, RULES, Kind
from app.files.models import SessionFile
from app.files.states import State
from app.ids import new_id
from app.participants.seats import Seat
from app.sessions import service as sessions

# An upload that nobody goes on with is given up after this.
UPLOAD_WITHIN = timedelta(hours=24)
# Of one session. What was refused or deleted lies nowhere and does not count.
MOST_FILES = 200
MOST_BYTES = 8 * 1024 * MIB
NOWHERE = (State.REFUSED, State.DELETED)


def announce(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    actor: Actor,
    now: datetime,
    kind: str,
    name: str,
    size_bytes: int,
    author_id: UUID | None = None,
    supersedes_id: UUID | None = None,
    jitsi_id: UUID | None = None,
) -> SessionFile:
    """Make the row of a file whose bytes come next.

    Args:
        jitsi_id: what Jitsi's client calls it, if it is shared there.

    Raises:
        NotFound: no such session, author, or prescription to supersede.
        Conflict: the session is over or full, or the prescription has a successor already.
        Invalid: the file is too large for its kind, or a prescription without an author.
        Forbidden: the author may not prescribe.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    require_size(Kind(kind), size_bytes)
    require_room(db, session_id, size_bytes)
    prescriptions.require_author(db, session, kind=kind, author_id=author_id)
    if supersedes_id is not None:
        prescriptions.require_successible(db, session, kind=kind, earlier_id=supersedes_id)
    file = SessionFile(
        id=new_id(),
        jitsi_id=jitsi_id,
        organisation_id=organisation_id,
        session_id=session_id,
        kind=kind,
        state=State.UPLOADING,
        name=names.clean(name),
        size_bytes=size_bytes,
        shared_by_kind=actor.kind,
        shared_by=actor.id or "",
        author_id=author_id,
        supersedes_id=supersedes_id,
        due_at=now + UPLOAD_WITHIN,
        created_at=now,
        received_bytes=0,
        attempts=0,
        tries=0,
    )
    db.add(file)
    db.flush()
    service.note(db, file, "file.announced", actor, now, kind=kind, size_bytes=size_bytes)
    return file


def announce_from_seat(db: Session, seat: Seat, *, now: datetime, **wanted: Any) -> SessionFile:
    """Do the same for the person behind a link, who is the author of their own prescriptions.

    Raises:
        Forbidden: their part in the session does not allow it; else see `announce`.
    """
    if RULES[Kind(wanted["kind"])].shared_by not in seat.permissions:
        raise Forbidden("Your part in this session does not allow it.", code="not_permitted")
    author_id = seat.participant_id if wanted["kind"] == Kind.PRESCRIPTION else None
    return announce(
        db,
        organisation_id=seat.organisation_id,
        session_id=seat.session_id,
        actor=Actor("participant", str(seat.participant_id)),
        author_id=author_id,
        now=now,
        **wanted,
    )


def require_size(kind: Kind, size_bytes: int) -> None:
    """Refuse what is too large.

    Raises:
        Invalid: there is more of it than this kind may have.
    """
    most = RULES[kind].most_bytes
    if size_bytes > most:
        raise Invalid(
            f"A file of kind {kind} has at most {most} bytes.",
            code="file_too_large",
            field="size_bytes",
        )


def require_room(db: Session, session_id: UUID, size_bytes: int) -> None:
    """Refuse one file more than a session may have. The session is locked.

    Raises:
        Conflict: there are as many as may be, or as much of them.
    """
    there = select(func.count(), func.coalesce(func.sum(SessionFile.size_bytes), 0)).where(
        SessionFile.session_id == session_id, SessionFile.state.not_in(NOWHERE)
    )
    number, total = db.execute(there).one()
    if number >= MOST_FILES or total + size_bytes > MOST_BYTES:
        raise Conflict(
            f"A session has at most {MOST_FILES} files and {MOST_BYTES} bytes of them.",
            code="files_full",
        )
