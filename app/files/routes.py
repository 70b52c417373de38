"""`/sessions/{id}/files`: what is shared in a session, for the hospital's own programs."""

from dataclasses import replace
from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.files import announcing, downloads, service, showing, stored
from app.files.downloads import Address
from app.files.models import SessionFile
from app.files.schemas import (
    AddressFor,
    AddressOut,
    AnnouncedOut,
    FileDeletionOut,
    FileIn,
    FileOut,
    FilePageOut,
    FileQuery,
)
from app.sessions import service as sessions
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("files", __name__, description="Files shared in a session")

FILES = "/sessions/<uuid:session_id>/files"
FILE = f"{FILES}/<uuid:file_id>"


@blp.route(FILES, methods=["POST"])
@transactional
@requires("files:write")
@idempotent
@blp.arguments(FileIn)
@blp.response(201, AnnouncedOut)
def share_file(
    body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Announce a file; `upload_url` of the answer takes its bytes (docs/files.md)."""
    actor = actor_of(caller)
    file = announcing.announce(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor,
        now=now(),
        **body,
    )
    return showing.with_upload(
        db, file, actor=actor, settings=current_services().settings, now=now()
    )


@blp.route(FILES, methods=["GET"])
@transactional
@requires("files:read")
@blp.arguments(FileQuery, location="query")
@blp.response(200, FilePageOut)
def list_files(
    query: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Page[dict[str, Any]]:
    """List the files of a session, newest first, the deleted ones, too."""
    sessions.get(db, organisation_id=caller.organisation_id, session_id=session_id)
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    theirs = service.of_session(caller.organisation_id, session_id).filter_by(**query)
    page = keyset_page(db, theirs, SessionFile, cursor=cursor, limit=limit)
    return replace(page, items=showing.shown(db, page.items))


@blp.route(FILE, methods=["GET"])
@transactional
@requires("files:read")
@blp.response(200, FileOut)
def read_file(session_id: UUID, file_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Read where a file stands, and who of the session opened it."""
    place = {"organisation_id": caller.organisation_id, "session_id": session_id}
    return showing.shown(db, [service.get(db, **place, file_id=file_id)])[0]


@blp.route(FILE, methods=["DELETE"])
@transactional
@requires("files:write")
@blp.response(200, FileOut)
def delete_file(session_id: UUID, file_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Delete a file for good: its key is destroyed, and nobody can read it any more."""
    place = {"organisation_id": caller.organisation_id, "session_id": session_id}
    file = service.delete(db, **place, file_id=file_id, actor=actor_of(caller), now=now())
    return showing.shown(db, [file])[0]


@blp.route(f"{FILE}/deletion", methods=["GET"])
@transactional
@requires("files:read")
@blp.response(200, FileDeletionOut)
def read_file_deletion(
    session_id: UUID, file_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Read what shows that a file is gone: when the key of everything that was stored of it was
    destroyed, and when its bytes were erased from the store."""
    place = {"organisation_id": caller.organisation_id, "session_id": session_id}
    file = service.get(db, **place, file_id=file_id)
    return {
        "file_id": file.id,
        "deleted_at": file.deleted_at,
        "stored_files": stored.traces(db, file),
    }


@blp.route(f"{FILE}/links", methods=["POST"])
@transactional
@requires("files:read")
@blp.arguments(AddressFor)
@blp.response(201, AddressOut)
def link_file(
    body: dict[str, Any], session_id: UUID, file_id: UUID, *, db: Session, caller: Caller
) -> Address:
    """Make a link to a file's bytes or its preview, for one person and five minutes."""
    place = {"organisation_id": caller.organisation_id, "session_id": session_id}
    file = service.get(db, **place, file_id=file_id)
    person = body["participant_id"]
    actor = actor_of(caller)
    return downloads.address(
        db,
        file,
        actor=actor,
        reader=Actor("participant", str(person)) if person else actor,
        preview=body["preview"],
        settings=current_services().settings,
        now=now(),
    )
