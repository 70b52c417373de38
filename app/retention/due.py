"""Which rows are past their time, page by page, and how the end of a file comes about."""

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ColumnElement, Row, Select, exists, select, tuple_
from sqlalchemy.orm import Session

from app.audit.service import SERVICE
from app.files import service as files_of_sessions
from app.files.models import SessionFile
from app.files.states import State
from app.holds import service as holds
from app.recording_files.models import RecordingFile
from app.recording_files.states import State as FileState
from app.recordings.deletion import RETENTION
from app.recordings.models import Recording
from app.recordings.states import State as Recorded
from app.retention.rules import Group
from app.sessions.models import CareSession

# A moment and an id: what is due is found in their order.
Place = Row[Any, UUID]
Query = Select[Any, UUID]
# Of an organisation, of one group of its sessions, at a moment.
Due = Callable[[UUID, Group, datetime], Query]


def page(db: Session, query: Query, *, after: Place | None, limit: int) -> Sequence[Place]:
    """Return what is due behind a place, so that what cannot go is passed over."""
    order = tuple(query.selected_columns)
    if after is not None:
        query = query.where(tuple_(*order) > tuple_(*after))
    return db.execute(query.order_by(*order).limit(limit)).all()


def still(db: Session, query: Query, row_ids: Sequence[UUID]) -> Sequence[UUID]:
    """Return which of some rows are (still) among what is due."""
    _, own_id = query.selected_columns
    found = db.execute(query.where(own_id.in_(row_ids))).all()
    return [row_id for _, row_id in found]


def files(organisation_id: UUID, group: Group, now: datetime) -> Query:
    """Return files of sessions that have been over for long enough and that nobody holds."""
    before = group.files_before(now)
    return (
        select(SessionFile.created_at, SessionFile.id)
        .join(CareSession, CareSession.id == SessionFile.session_id)
        .where(
            SessionFile.organisation_id == organisation_id,
            SessionFile.state != State.DELETED,
            # It was shared before its session was over: so an index finds it.
            SessionFile.created_at < before,
            *_over(group, before),
        )
    )


def end_file(db: Session, file_id: UUID, *, now: datetime) -> bool:
    """Delete a file, unless somebody did or the session is held now."""
    file = files_of_sessions.lock(db, file_id)
    if file.state == State.DELETED or holds.is_held(db, file.session_id):
        return False
    files_of_sessions.end(db, file, actor=SERVICE, now=now, why=RETENTION)
    return True


def recordings(organisation_id: UUID, group: Group, now: datetime) -> Query:
    """Return recordings of such sessions of which there may be something."""
    before = group.recordings_before(now)
    is_left = exists().where(
        RecordingFile.recording_id == Recording.id, RecordingFile.state != FileState.DELETED
    )
    return (
        select(Recording.created_at, Recording.id)
        .join(CareSession, CareSession.id == Recording.session_id)
        .where(
            Recording.organisation_id == organisation_id,
            Recording.state.in_((Recorded.PROCESSING, Recorded.AVAILABLE, Recorded.FAILED)),
            (Recording.state != Recorded.FAILED) | is_left,
            Recording.created_at < before,
            *_over(group, before),
        )
    )


def orphans(db: Session, before: datetime, *, limit: int) -> Sequence[UUID]:
    """Return what recorders left before a moment of recordings that nobody knows."""
    query = select(RecordingFile.id).where(
        RecordingFile.recording_id.is_(None),
        RecordingFile.state != FileState.DELETED,
        RecordingFile.created_at < before,
    )
    return db.scalars(query.order_by(RecordingFile.created_at).limit(limit)).all()


def untrimmed(organisation_id: UUID, group: Group, now: datetime) -> Query:
    """Return such sessions that still have contacts and news."""
    query = _sessions(organisation_id, group, group.contacts_before(now))
    return query.where(CareSession.trimmed_at.is_(None))


def sessions(organisation_id: UUID, group: Group, now: datetime) -> Query:
    """Return such sessions, whatever is left of them."""
    return _sessions(organisation_id, group, group.records_before(now))


def _sessions(organisation_id: UUID, group: Group, before: datetime) -> Query:
    return select(CareSession.ended_at, CareSession.id).where(
        CareSession.organisation_id == organisation_id, *_over(group, before)
    )


def _over(group: Group, before: datetime) -> tuple[ColumnElement[bool], ...]:
    return (CareSession.ended_at < before, group.holds(), ~holds.holding(CareSession.id))
