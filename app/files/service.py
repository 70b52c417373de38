"""Files of a session: listed, moved on, deleted. They begin in `app.files.announcing`; their bytes
come and go in `app.files.uploads` and `app.files.downloads`."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.errors import Conflict, Forbidden, NotFound
from app.events import service as events
from app.files import in_room, sight, states, stored
from app.files.kinds import RULES, Kind
from app.files.models import SessionFile
from app.files.states import State, Step
from app.holds import service as holds
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.sessions import service as sessions


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
        NotFound, Conflict: there is no such file, or there is a legal hold on the session.
    """
    place = {"organisation_id": organisation_id, "session_id": session_id}
    sessions.lock(db, **place)
    file = get(db, **place, file_id=file_id)
    if file.state != State.DELETED:
        holds.require_free(db, session_id)
        end(db, file, actor=actor, now=now)
    return file


def end(db: Session, file: SessionFile, *, actor: Actor, now: datetime, **why: Any) -> None:
    """Destroy a file that is not held, in a locked session; the audit entry says `why`, too."""
    step(db, file.id, Step.DELETE, name="", deleted_at=now, due_at=None)
    stored.destroy(db, file, now=now)
    tell(db, file, "file.deleted", now)
    note(db, file, "file.deleted", actor, now, **why)
    db.refresh(file)


def delete_from_seat(db: Session, seat: Seat, *, file_id: UUID, now: datetime) -> SessionFile:
    """Do the same for the person behind a link: what they shared, or anything if they moderate. A
    prescription that is there stays: it can only be superseded.

    Raises:
        NotFound, Hidden, Forbidden: there is no such file for them, or it is somebody else's.
        Conflict: it is a prescription, or there is a legal hold on the session.
    """
    place = {"organisation_id": seat.organisation_id, "session_id": seat.session_id}
    sessions.lock(db, **place)
    file = get(db, **place, file_id=file_id)
    mine = sight.is_sharer(seat.participant_id, file)
    if not mine:
        sight.require_seen(seat.permissions, seat.participant_id, file)
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


def tell(db: Session, file: SessionFile, type_: str, now: datetime, **more: Any) -> None:
    """Append an event about a file, and have Jitsi's list in the room follow it. Its name is
    nobody's business outside."""
    data = {"file_id": str(file.id), "file_kind": file.kind, **more}
    events.append(db, type_, session_id=file.session_id, data=data, now=now)
    if type_ in in_room.CHANGES:
        in_room.show(db, file.session_id, now=now)


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
