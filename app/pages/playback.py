"""`/p/{code}`: the page with which somebody watches a recording, and the press that begins it."""

from collections.abc import Callable
from typing import Any, TypeVar

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Entry
from app.db.engine import EVERY_ORGANISATION, enter_organisation
from app.errors import DomainError
from app.organisations.models import Organisation
from app.pages.behind_link import from_our_page
from app.pages.view import Showing
from app.playback import delivery, service, tickets, watching
from app.playback.models import PlaybackLink, PlaybackView
from app.playback.schemas import PlaybackPressIn, PlaybackViewOut
from app.recording_files.models import RecordingFile
from app.web import limits
from app.web.auth import now
from app.web.blueprint import Blueprint
from app.web.cookies import set_playback
from app.web.refusals import note_refusal
from app.web.services import current_services
from app.web.transactions import after_commit, transactional

T = TypeVar("T")
blp = Blueprint("page-playback", __name__, description="Watching a recording behind a link")


def showing_in_database(code: str) -> Showing:
    """Look a link up in a transaction of its own, ended before the page is built. Nothing is used
    up by that: programs that read mail open pages, too."""
    with current_services().database.begin() as db:
        return _noting_refusal(db, code, lambda link: _showing(db, link))


@blp.route("/p/<string:code>/views", methods=["POST"])
@from_our_page
@transactional
@blp.arguments(PlaybackPressIn)
@blp.response(201, PlaybackViewOut)
def begin_view(body: dict[str, Any], code: str, *, db: Session) -> dict[str, Any]:
    """Begin to watch: this is what counts as a use of the link, and the same press again does not.
    The answer's cookie lets this browser go on with it."""
    enter_organisation(db, EVERY_ORGANISATION)
    link, view = _noting_refusal(
        db, code, lambda link: (link, service.begin(db, link, body["press_id"], now=now()))
    )
    files = delivery.parts(db, view, now=now())
    after_commit(lambda response: _with_ticket(response, view))
    return {
        "viewer": link.viewer_name,
        "expires_at": view.expires_at,
        "views_left": link.max_views - link.views,
        "files": [_addresses(view, file) for file in files],
    }


def _showing(db: Session, link: PlaybackLink) -> Showing:
    recording = service.require_usable(db, link, now=now())
    name = select(Organisation.name).where(Organisation.id == link.organisation_id)
    return Showing(
        organisation_name=db.scalars(name).one(),
        viewer_name=link.viewer_name,
        locale=link.locale,
        started_at=recording.started_at,
        stopped_at=recording.stopped_at,
        expires_at=link.expires_at,
        views_left=link.max_views - link.views,
    )


def _noting_refusal(db: Session, code: str, act: Callable[[PlaybackLink], T]) -> T:
    """Do something with the link behind a code in its organisation; refusals are audited, and
    whoever guesses codes is slowed down."""
    link = None
    try:
        link = service.by_code(db, code)
        enter_organisation(db, link.organisation_id)
        return act(link)
    except DomainError as error:
        entry = Entry(
            action=service.STARTED,
            actor=service.viewer_of(link) if link else audit.STRANGER,
            organisation_id=link.organisation_id if link else None,
            session_id=link.session_id if link else None,
            participant_id=link.participant_id if link else None,
            refused=True,
            detail={"code": error.code},
        )
        note_refusal(entry, now=now())
        if link is None:
            limits.refuse_guess(current_services(), request.remote_addr)
        raise watching.told(error) from error


def _addresses(view: PlaybackView, file: RecordingFile) -> dict[str, Any]:
    place = f"{_path(view)}/{file.id}"
    return {
        "video": f"{place}/{delivery.VIDEO}",
        "poster": f"{place}/{delivery.POSTER}" if file.poster_id else None,
        "duration_ms": file.duration_ms,
    }


def _path(view: PlaybackView) -> str:
    return f"/playback/{view.id}"


def _with_ticket(response: Response, view: PlaybackView) -> Response:
    ticket = tickets.issue(view, secret=current_services().settings.api_token_secret[0])
    set_playback(response, ticket, path=_path(view), until=view.expires_at)
    return response
