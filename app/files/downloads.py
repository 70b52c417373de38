"""Bytes that go out: only of files that were checked, to whom may see them, each noted."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.errors import Forbidden, NotFound
from app.files import service, sight, states, tickets
from app.files.kinds import JPEG
from app.files.models import FileView, SessionFile
from app.files.states import State
from app.files.tickets import CONTENT, PREVIEW, Ticket
from app.participants.seats import Seat
from app.settings import Settings
from app.storage.models import StoredFile


@dataclass(frozen=True, slots=True)
class Opened:
    """What is handed out: which stored file, as what, under which name."""

    stored: StoredFile
    media_type: str
    name: str
    size_bytes: int


@dataclass(frozen=True, slots=True)
class Address:
    """A link to bytes for one person, and until when it works."""

    url: str
    expires_at: datetime


def address(
    db: Session,
    file: SessionFile,
    *,
    actor: Actor,
    reader: Actor,
    preview: bool,
    settings: Settings,
    now: datetime,
) -> Address:
    """Return a short-lived link for one person; every use of it is noted.

    Args:
        actor: who asks for it.
        reader: who may use it, and is named when it is used.

    Raises:
        Conflict: the file is not there (yet).
        NotFound: there is no preview of it, or no such person in the session.
        Forbidden: this person does not see such files.
    """
    _require_there(file)
    if preview and file.preview_id is None:
        raise NotFound("There is no preview of this file.", code="preview_missing")
    _require_seen(db, file, reader)
    purpose = PREVIEW if preview else CONTENT
    ticket = Ticket(purpose, file.organisation_id, file.id, reader)
    text, expires_at = tickets.issue(ticket, secret=settings.api_token_secret[0], now=now)
    service.note(db, file, "file.link_made", actor, now, whose=reader, part=purpose)
    return Address(f"{settings.public_url}/downloads/{text}", expires_at)


def address_from_seat(
    db: Session, seat: Seat, *, file_id: UUID, preview: bool, settings: Settings, now: datetime
) -> Address:
    """Return one for the person behind a link.

    Raises:
        NotFound, Hidden: there is no such file for them; else see `address`.
    """
    place = {"organisation_id": seat.organisation_id, "session_id": seat.session_id}
    file = service.get(db, **place, file_id=file_id)
    sight.require_seen(seat.permissions, seat.participant_id, file)
    actor = Actor("participant", str(seat.participant_id))
    return address(db, file, actor=actor, reader=actor, preview=preview, settings=settings, now=now)


def open_ticket(db: Session, ticket: Ticket) -> Opened:
    """Return what a link leads to.

    Raises:
        NotFound: the file is not there any more.
        Forbidden: the person was removed, or does not see such files any more.
        Conflict: the file was deleted.
    """
    file = db.get(SessionFile, ticket.file_id)
    if file is None:
        raise NotFound("There is nothing at this address.", code="ticket_unknown")
    _require_there(file)
    _require_seen(db, file, ticket.actor)
    is_preview = ticket.purpose == PREVIEW
    stored_id = file.preview_id if is_preview else file.content_id
    stored = db.get(StoredFile, stored_id) if stored_id else None
    if stored is None or stored.size_bytes is None:
        raise NotFound("There is nothing at this address.", code="ticket_unknown")
    media_type = JPEG if is_preview else file.media_type or "application/octet-stream"
    return Opened(stored, media_type, file.name, stored.size_bytes)


def note_opened(db: Session, ticket: Ticket, *, asked: str, now: datetime) -> None:
    """Note who opened a file and which part, once its first bytes are there to be sent.

    Args:
        asked: the range that was asked for, or ''.

    Raises:
        Conflict: it was deleted meanwhile.
    """
    file = db.get_one(SessionFile, ticket.file_id)
    _require_there(file)
    detail: dict[str, Any] = {"range": asked} if asked else {}
    service.note(db, file, ticket.act, ticket.actor, now, **detail)
    _remember(db, file, ticket.actor, now)


def _require_there(file: SessionFile) -> None:
    if file.state != State.AVAILABLE:
        raise states.refusal(file.state)


def _require_seen(db: Session, file: SessionFile, reader: Actor) -> None:
    """Judge a person of the session anew; callers of the API were judged by their scopes."""
    if reader.kind != "participant":
        return
    permissions = sight.permissions_now(db, file, reader)
    if not sight.may_see(permissions, UUID(reader.id or ""), file):
        raise Forbidden("Your part in this session does not allow it.", code="not_permitted")


def _remember(db: Session, file: SessionFile, actor: Actor, now: datetime) -> None:
    """Keep who of the session saw it, and tell of the first time."""
    if actor.kind != "participant" or sight.is_sharer(UUID(actor.id or ""), file):
        return
    seen = insert(FileView).values(
        file_id=file.id,
        participant_id=UUID(actor.id or ""),
        organisation_id=file.organisation_id,
        first_at=now,
        last_at=now,
    )
    known = seen.on_conflict_do_update(
        index_elements=["file_id", "participant_id"], set_={"last_at": now}
    ).returning(FileView.first_at == FileView.last_at)
    if db.scalar(known):
        service.tell(db, file, "file.viewed", now, participant_id=actor.id)
