"""What of a recording is handed out in a view, and the audit log's word on it.

A player asks for stretches of a file, many of them. Each is added to what was delivered before, in
the database, once its bytes have left; the audit log gets one entry for all of them when nothing
was asked for a minute, or every quarter of an hour. A process that dies takes with it the one
stretch it was sending.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import Text, bindparam, cast, or_, select, text, update
from sqlalchemy.orm import Session

from app.errors import Gone, NotFound
from app.files.kinds import JPEG
from app.playback import service, watching
from app.playback.models import PlaybackDelivery, PlaybackLink, PlaybackView
from app.recording_files.models import RecordingFile
from app.storage.models import StoredFile

VIDEO, POSTER = "video", "poster"
QUIET_FOR = timedelta(seconds=60)
NOTED_AT_LEAST_EVERY = timedelta(minutes=15)
MP4 = "video/mp4"
MERGE = text("""
    INSERT INTO teleconference.playback_deliveries AS d
      (view_id, stored_id, organisation_id, size_bytes, delivered, last_at, unnoted_since)
    VALUES (:view_id, :stored_id, :organisation_id, :size_bytes,
      int8multirange(int8range(:start, :stop)), :now, :now)
    ON CONFLICT (view_id, stored_id) DO UPDATE SET
      delivered = d.delivered + excluded.delivered, last_at = excluded.last_at,
      unnoted_since = coalesce(d.unnoted_since, excluded.unnoted_since)""")


@dataclass(frozen=True, slots=True)
class Part:
    """What is handed out: a stored file, as what."""

    view: PlaybackView
    stored: StoredFile
    media_type: str
    size_bytes: int


def parts(db: Session, view: PlaybackView, *, now: datetime) -> Sequence[RecordingFile]:
    """Return the files that may be watched in a view, in their order.

    Raises:
        Gone: the view is over, the link has expired or was revoked, or the recording was deleted.
        Conflict, Forbidden: it may not be watched now.
    """
    if view.expires_at <= now:
        raise Gone("This view is over; open the link again.", code="playback_view_over")
    link = db.get_one(PlaybackLink, view.link_id, populate_existing=True)
    return watching.require_alive(db, link, now=now)


def open_part(db: Session, view_id: UUID, file_id: UUID, what: str, *, now: datetime) -> Part:
    """Return what a player asks for: the video or the poster of a file.

    Raises:
        NotFound: there is no such view, or file or poster that may be watched in it now.
        Gone, Conflict, Forbidden: see `parts`.
    """
    view = db.get(PlaybackView, view_id)
    if view is None:
        raise _nothing()
    file = next((one for one in parts(db, view, now=now) if one.id == file_id), None)
    if file is None:
        raise _nothing()
    stored_id = file.poster_id if what == POSTER else file.shown_id
    stored = db.get(StoredFile, stored_id) if stored_id else None
    if stored is None or stored.size_bytes is None:
        raise _nothing()
    media_type = JPEG if what == POSTER else MP4
    return Part(view, stored, media_type, stored.size_bytes)


def delivered(db: Session, part: Part, *, start: int, stop: int, now: datetime) -> None:
    """Add a stretch to what was handed out."""
    db.execute(
        MERGE,
        {
            "view_id": part.view.id,
            "stored_id": part.stored.id,
            "organisation_id": part.view.organisation_id,
            "size_bytes": part.size_bytes,
            "start": start,
            "stop": stop,
            "now": now,
        },
    )


def note(db: Session, *, limit: int, now: datetime) -> int:
    """Tell the audit log what was handed out since it heard last; return of how many files."""
    unnoted = PlaybackDelivery.unnoted_since
    due = db.execute(
        select(PlaybackDelivery.view_id, PlaybackDelivery.stored_id)
        .where(
            unnoted.is_not(None),
            or_(
                PlaybackDelivery.last_at < now - QUIET_FOR,
                unnoted < now - NOTED_AT_LEAST_EVERY,
            ),
        )
        .order_by(unnoted)
        .limit(limit)
        .with_for_update(skip_locked=True)
    ).all()
    for view_id, stored_id in due:
        _note(db, view_id, stored_id, now)
    return len(due)


def _note(db: Session, view_id: UUID, stored_id: UUID, now: datetime) -> None:
    of_this = (
        PlaybackDelivery.view_id == bindparam("view"),
        (PlaybackDelivery.stored_id == bindparam("stored")),
    )
    row = db.execute(
        update(PlaybackDelivery)
        .where(*of_this)
        .values(unnoted_since=None)
        .returning(cast(PlaybackDelivery.delivered, Text), PlaybackDelivery.size_bytes)
        .execution_options(synchronize_session=False),
        {"view": view_id, "stored": stored_id},
    ).one()
    view = db.get_one(PlaybackView, view_id)
    link = db.get_one(PlaybackLink, view.link_id)
    service.note(
        db,
        link,
        "playback.delivered",
        service.viewer_of(link),
        now,
        view_id=str(view_id),
        stored_file_id=str(stored_id),
        ranges=ranges_of(row[0]),
        size_bytes=row[1],
    )


def ranges_of(multirange: str) -> list[list[int]]:
    """Return PostgreSQL's text for stretches as pairs: the first byte, and one after the last."""
    inside = multirange.strip("{}")
    pairs = inside.strip("[)").split("),[") if inside else []
    return [[int(end) for end in pair.split(",")] for pair in pairs]


def _nothing() -> NotFound:
    return NotFound("There is nothing at this address.", code="ticket_unknown")
