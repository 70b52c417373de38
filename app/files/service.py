"""Files of a session: announced, listed, deleted. Their bytes come and go in `app.files.uploads`
and `app.files.downloads`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, Forbidden, Invalid, NotFound
from app.events import service as events
from app.files import names, prescriptions, sight, states
from app.files.kinds import MIB, RULES, Kind
from app.files.models import FilePart, SessionFile
from app.files.states import State, Step
from app.ids import new_id
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.sessions import service as sessions
from app.storage import service as storage

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
) -> SessionFile:
    """Make the row of a file whose bytes come next.

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
    )
    db.add(file)
    db.flush()
    note(db, file, "file.announced", actor, now, kind=kind, size_bytes=size_bytes)
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


def get(db: Session, *, organisation_id: UUID, session_id: UUID, file_id: UUID) -> SessionFile:
    """Return one file of this session.

    Raises:
        NotFound: there is none, or it is another organisation's.
    """
    query = of_session(organisation_id, session_id).where(SessionFile.id == file_id)
    # What was read before the session was locked may have changed since.
    file = db.scalars(query.execution_options(populate_existing=True)).first()
    if file is None:
        raise NotFound("There is no such file in this session.", code="file_not_found")
    return file


def lock(db: Session, file_id: UUID) -> SessionFile:
    """Return a file whose session is locked until the transaction ends: always before the file."""
    file = db.get_one(SessionFile, file_id)
    sessions.lock(db, organisation_id=file.organisation_id, session_id=file.session_id)
    return db.get_one(SessionFile, file_id, populate_existing=True)


def of_session(organisation_id: UUID, session_id: UUID) -> Select[SessionFile]:
    """Return the query of a session's files."""
    return select(SessionFile).where(
        SessionFile.organisation_id == organisation_id, SessionFile.session_id == session_id
    )


def seen_from(db: Session, seat: Seat) -> Sequence[SessionFile]:
    """Return the files that the person behind a link may know of, newest first: those of kinds
    their role sees once they are there, and all that they shared themselves."""
    kinds = [kind for kind, rule in RULES.items() if rule.seen_by in seat.permissions]
    own = (SessionFile.shared_by_kind == "participant") & (
        SessionFile.shared_by == str(seat.participant_id)
    )
    there = (SessionFile.state == State.AVAILABLE) & SessionFile.kind.in_(kinds)
    query = of_session(seat.organisation_id, seat.session_id).where(
        SessionFile.state != State.DELETED, own | there
    )
    return db.scalars(query.order_by(SessionFile.created_at.desc(), SessionFile.id.desc())).all()


def delete(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    file_id: UUID,
    actor: Actor,
    now: datetime,
) -> SessionFile:
    """Destroy a file's keys, so that nobody can read it any more; its row stays without the name.
    A second time changes nothing.

    Raises:
        NotFound: there is no such file.
    """
    place = {"organisation_id": organisation_id, "session_id": session_id}
    sessions.lock(db, **place)
    file = get(db, **place, file_id=file_id)
    if file.state != State.DELETED:
        step(db, file.id, Step.DELETE, name="", deleted_at=now, due_at=None)
        destroy_bytes(db, file, now=now)
        tell(db, file, "file.deleted", now)
        note(db, file, "file.deleted", actor, now)
        db.refresh(file)
    return file


def delete_from_seat(db: Session, seat: Seat, *, file_id: UUID, now: datetime) -> SessionFile:
    """Do the same for the person behind a link: what they shared, or anything if they moderate. A
    prescription that is there stays: it can only be superseded.

    Raises:
        NotFound: there is no such file for them.
        Forbidden: it is somebody else's.
        Conflict: it is a prescription.
    """
    place = {"organisation_id": seat.organisation_id, "session_id": seat.session_id}
    sessions.lock(db, **place)
    file = get(db, **place, file_id=file_id)
    mine = sight.is_sharer(seat.participant_id, file)
    if not mine and not sight.may_see(seat.permissions, seat.participant_id, file):
        raise NotFound("There is no such file in this session.", code="file_not_found")
    if not mine and Permission.MODERATE not in seat.permissions:
        raise Forbidden("Somebody else shared this file.", code="not_permitted")
    if file.kind == Kind.PRESCRIPTION and file.state == State.AVAILABLE:
        raise Conflict(
            "A prescription is not taken back; a new one can supersede it.",
            code="prescription_stays",
        )
    actor = Actor("participant", str(seat.participant_id))
    return delete(db, **place, file_id=file_id, actor=actor, now=now)


def step(db: Session, file_id: UUID, way: Step, *conditions: Any, **values: Any) -> bool:
    """Take a file along its life if it stands where that is possible; tell whether it did."""
    changed = db.scalars(
        update(SessionFile)
        .where(
            SessionFile.id == file_id,
            SessionFile.state.in_(states.sources_of(way)),
            *conditions,
        )
        .values(state=states.target_of(way), **values)
        .returning(SessionFile.id)
        .execution_options(synchronize_session=False)
    )
    return changed.one_or_none() is not None


def destroy_bytes(
    db: Session, file: SessionFile, *, now: datetime, parts_only: bool = False
) -> None:
    """Destroy the keys of a file's parts and, unless told otherwise, of content and preview."""
    parts = select(FilePart.stored_id).where(FilePart.file_id == file.id)
    ids = list(db.scalars(parts))
    if not parts_only:
        ids += [one for one in (file.content_id, file.preview_id) if one is not None]
    for stored_id in ids:
        storage.destroy(db, stored_id, now=now)


def tell(db: Session, file: SessionFile, type_: str, now: datetime, **more: Any) -> None:
    """Append an event about a file. Its name is nobody's business outside."""
    data = {"file_id": str(file.id), "file_kind": file.kind, **more}
    events.append(db, type_, session_id=file.session_id, data=data, now=now)


def note(
    db: Session,
    file: SessionFile,
    action: str,
    actor: Actor,
    now: datetime,
    *,
    whose: Actor | None = None,
    **detail: Any,
) -> None:
    """Write an audit entry about a file. `whose`: whom of the session it concerns, if that is not
    who acts."""
    audit.record(
        db,
        action=action,
        actor=actor,
        now=now,
        organisation_id=file.organisation_id,
        session_id=file.session_id,
        participant_id=person_of(whose or actor),
        detail={"file_id": str(file.id), **detail},
    )


def person_of(actor: Actor) -> UUID | None:
    """Return who of the session somebody is, if they are."""
    return UUID(actor.id) if actor.kind == "participant" and actor.id else None
