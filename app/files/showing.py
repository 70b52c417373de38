"""Files with what people want to know of them: who saw them, what took their place."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.db.base import columns_of
from app.files import tickets
from app.files.models import FileView, SessionFile
from app.files.states import State
from app.files.tickets import UPLOAD, Ticket
from app.settings import Settings


def shown(db: Session, files: Sequence[SessionFile]) -> list[dict[str, Any]]:
    """Return files as they are answered, by a fixed number of statements."""
    viewers, successors = _viewers_of(db, files), _successors_of(db, files)
    return [
        {
            **columns_of(file),
            "has_preview": file.preview_id is not None and file.deleted_at is None,
            "seen_by": viewers.get(file.id, []),
            "superseded_by_id": successors.get(file.id),
        }
        for file in files
    ]


def with_upload(
    db: Session, file: SessionFile, *, actor: Actor, settings: Settings, now: datetime
) -> dict[str, Any]:
    """Return a file that was just announced, with the address that takes its bytes."""
    ticket = Ticket(UPLOAD, file.organisation_id, file.id, actor)
    text, _ = tickets.issue(ticket, secret=settings.api_token_secret[0], now=now)
    return {**shown(db, [file])[0], "upload_url": f"{settings.public_url}/uploads/{text}"}


def _viewers_of(db: Session, files: Sequence[SessionFile]) -> dict[UUID, list[dict[str, Any]]]:
    """Return who of the session opened each file, and when first, in that order."""
    rows = db.execute(
        select(FileView.file_id, FileView.participant_id, FileView.first_at)
        .where(FileView.file_id.in_([file.id for file in files]))
        .order_by(FileView.first_at, FileView.participant_id)
    )
    found: dict[UUID, list[dict[str, Any]]] = {}
    for file_id, participant_id, first_at in rows:
        found.setdefault(file_id, []).append(
            {"participant_id": participant_id, "first_at": first_at}
        )
    return found


def _successors_of(db: Session, files: Sequence[SessionFile]) -> dict[UUID, UUID]:
    """Return which prescription took the place of which."""
    rows = db.execute(
        select(SessionFile.supersedes_id, SessionFile.id).where(
            SessionFile.supersedes_id.in_([file.id for file in files]),
            SessionFile.state == State.AVAILABLE,
        )
    )
    return {earlier: later for earlier, later in rows if earlier is not None}
