"""`/j/{code}/files`: what people share and open from the page behind their link."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.files import announcing, downloads, service, showing, sight
from app.files.downloads import Address
from app.files.kinds import RULES
from app.files.models import SessionFile
from app.files.schemas import AddressIn, AddressOut, AnnouncedOut, SharedFileIn
from app.pages.behind_link import actor_in, from_our_page, seated
from app.pages.file_schemas import PageFileOut, PageFilesOut
from app.participants.models import Participant
from app.participants.seats import Seat
from app.web.auth import now
from app.web.blueprint import Blueprint
from app.web.services import current_services
from app.web.transactions import transactional

blp = Blueprint("page-files", __name__, description="Files of the page behind a link")

FILES = "/j/<string:code>/files"
FILE = f"{FILES}/<uuid:file_id>"


@blp.route(FILES, methods=["GET"])
@transactional
@seated(inside=True)
@blp.response(200, PageFilesOut)
def files(*, db: Session, seat: Seat) -> dict[str, Any]:
    """List what the person behind a link may open, and what they may share."""
    may_share = {
        kind: rule.most_bytes for kind, rule in RULES.items() if rule.shared_by in seat.permissions
    }
    return {"files": _shown(db, seat, service.seen_from(db, seat)), "may_share": may_share}


@blp.route(FILES, methods=["POST"])
@from_our_page
@transactional
@seated(inside=True)
@blp.arguments(SharedFileIn)
@blp.response(201, AnnouncedOut)
def share(body: dict[str, Any], *, db: Session, seat: Seat) -> dict[str, Any]:
    """Announce a file of the person behind a link."""
    file = announcing.announce_from_seat(db, seat, now=now(), **body)
    return showing.with_upload(
        db, file, actor=actor_in(seat), settings=current_services().settings, now=now()
    )


@blp.route(f"{FILE}/link", methods=["POST"])
@from_our_page
@transactional
@seated(inside=True)
@blp.arguments(AddressIn)
@blp.response(201, AddressOut)
def open_shared(body: dict[str, Any], file_id: UUID, *, db: Session, seat: Seat) -> Address:
    """Make a link to a file's bytes for the person behind a link."""
    settings = current_services().settings
    return downloads.address_from_seat(
        db, seat, file_id=file_id, settings=settings, now=now(), **body
    )


@blp.route(FILE, methods=["DELETE"])
@from_our_page
@transactional
@seated(inside=True)
@blp.response(200, PageFileOut)
def unshare(file_id: UUID, *, db: Session, seat: Seat) -> dict[str, Any]:
    """Delete a file that the person behind a link shared, or any if they moderate."""
    file = service.delete_from_seat(db, seat, file_id=file_id, now=now())
    return _shown(db, seat, [file])[0]


def _shown(db: Session, seat: Seat, found: Sequence[SessionFile]) -> list[dict[str, Any]]:
    """Return files with the names of whom they are by and who saw them."""
    people = dict(
        db.execute(
            select(Participant.id, Participant.display_name).where(
                Participant.session_id == seat.session_id
            )
        ).all()
    )
    by_id = {str(person): name for person, name in people.items()}
    return [
        {
            **one,
            "is_mine": sight.is_sharer(seat.participant_id, file),
            "shared_by_name": by_id.get(one["shared_by"], seat.organisation_name),
            "seen_by_names": [people[view["participant_id"]] for view in one["seen_by"]],
        }
        for file, one in zip(found, showing.shown(db, found), strict=True)
    ]
