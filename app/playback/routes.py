"""`/recordings/{id}/playback-links`: who may watch a recording."""

from typing import Any
from uuid import UUID

from sqlalchemy.orm import Session

from app.db.base import columns_of
from app.playback import service
from app.playback.models import PlaybackLink
from app.playback.schemas import (
    PlaybackLinkIn,
    PlaybackLinkMadeOut,
    PlaybackLinkOut,
    PlaybackLinkPageOut,
    PlaybackLinkQuery,
)
from app.playback.service import Viewer
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("playback", __name__, description="Links with which people watch recordings")

LINKS = "/recordings/<uuid:recording_id>/playback-links"


@blp.route(LINKS, methods=["POST"])
@transactional
@requires("recordings:share")
@idempotent
@blp.arguments(PlaybackLinkIn)
@blp.response(201, PlaybackLinkMadeOut)
def make_playback_link(
    body: dict[str, Any], recording_id: UUID, *, db: Session, caller: Caller
) -> dict[str, Any]:
    """Let one person watch a recording, so long and so often. The address is shown this once."""
    viewer = Viewer(
        body["participant_id"], body["viewer_reference"], body["viewer_name"], body["locale"]
    )
    made = service.make(
        db,
        organisation_id=caller.organisation_id,
        recording_id=recording_id,
        viewer=viewer,
        expires_in_s=body["expires_in_s"],
        max_views=body["max_views"],
        actor=actor_of(caller),
        now=now(),
    )
    url = f"{current_services().settings.public_url}/p/{made.code}"
    return {**columns_of(made.link), "url": url}


@blp.route(LINKS, methods=["GET"])
@transactional
@requires("recordings:share")
@blp.arguments(PlaybackLinkQuery, location="query")
@blp.response(200, PlaybackLinkPageOut)
def list_playback_links(
    query: dict[str, Any], recording_id: UUID, *, db: Session, caller: Caller
) -> Page[PlaybackLink]:
    """List who may watch a recording or might, newest first, and how often they have."""
    theirs = service.of_recording(
        db, organisation_id=caller.organisation_id, recording_id=recording_id
    )
    return keyset_page(db, theirs, PlaybackLink, cursor=query.get("cursor"), limit=query["limit"])


@blp.route(f"{LINKS}/<uuid:link_id>", methods=["DELETE"])
@transactional
@requires("recordings:share")
@blp.response(200, PlaybackLinkOut)
def revoke_playback_link(
    recording_id: UUID, link_id: UUID, *, db: Session, caller: Caller
) -> PlaybackLink:
    """Take a link back; what is being watched by it stops with the next piece."""
    return service.revoke(
        db,
        organisation_id=caller.organisation_id,
        recording_id=recording_id,
        link_id=link_id,
        actor=actor_of(caller),
        now=now(),
    )
