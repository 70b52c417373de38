"""Who acts from the page behind a personal link: their seat's permissions decide, and they are
named in the audit log."""

from collections.abc import Callable
from functools import wraps
from typing import Any
from urllib.parse import urlsplit

from flask import request
from sqlalchemy.orm import Session
from werkzeug.exceptions import UnsupportedMediaType

from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.db.engine import enter_organisation
from app.errors import DomainError, Forbidden, Hidden
from app.participants import links
from app.participants.permissions import Permission
from app.participants.seats import Seat
from app.web import limits
from app.web.auth import now
from app.web.refusals import note_refusal
from app.web.services import current_services


def from_our_page(view: Callable[..., Any]) -> Callable[..., Any]:
    """Take a write only from our own page: what it says as JSON, which no form of another site can
    send, and without an `Origin` of somewhere else."""

    @wraps(view)
    def wrapper(*args: Any, **kwargs: Any) -> Any:
        if request.content_length and not request.is_json:
            raise UnsupportedMediaType("Send JSON, with Content-Type: application/json.")
        origin = request.headers.get("Origin")
        if origin is not None and urlsplit(origin).netloc not in _our_hosts():
            raise Forbidden("This is for our own page only.", code="origin_foreign")
        return view(*args, **kwargs)

    return wrapper


def _our_hosts() -> set[str]:
    return {request.host, urlsplit(current_services().settings.public_url).netloc}


def seated(
    permission: Permission | None = None, *, inside: bool = False
) -> Callable[[Callable[..., Any]], Callable[..., Any]]:
    """Let only people in whose link is good and who have `permission` (None: everybody), limit the
    transaction to their organisation, and give the view `seat`. With `inside` it must be good for
    the room now: who waits is refused. Stands inside `transactional`."""

    def decorate(view: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(view)
        def wrapper(*args: Any, code: str, db: Session, **kwargs: Any) -> Any:
            seat = _seat(db, code, permission, inside=inside)
            enter_organisation(db, seat.organisation_id)
            try:
                return view(*args, db=db, seat=seat, **kwargs)
            except (Forbidden, Hidden) as error:
                _audit_refusal(seat, error)
                raise

        return wrapper

    return decorate


def actor_in(seat: Seat) -> Actor:
    """Return the person behind a link as the audit log names them."""
    return Actor("participant", str(seat.participant_id))


def done_by(seat: Seat) -> dict[str, Any]:
    """Return who does it, where and when, as the services want it."""
    return {
        "organisation_id": seat.organisation_id,
        "session_id": seat.session_id,
        "actor": actor_in(seat),
        "now": now(),
    }


def _seat(db: Session, code: str, permission: Permission | None, *, inside: bool) -> Seat:
    seat = None
    try:
        seat = links.open_seat(db, code)
        early_join_s = current_services().settings.early_join_s
        barrier = seat.barrier(early_join_s=early_join_s, now=now())
        links.require_valid(seat, barrier)
        if inside and barrier:
            raise Forbidden("You are not in the room yet.", code="not_inside")
        if permission is not None and permission not in seat.permissions:
            raise Forbidden("Your part in this session does not allow it.", code="not_permitted")
    except DomainError as error:
        _audit_refusal(seat, error)
        if seat is None:
            limits.refuse_guess(current_services(), request.remote_addr)
        raise
    return seat


def _audit_refusal(seat: Seat | None, error: DomainError) -> None:
    entry = Entry(
        action="link.used",
        actor=actor_in(seat) if seat else audit.STRANGER,
        organisation_id=seat.organisation_id if seat else None,
        session_id=seat.session_id if seat else None,
        participant_id=seat.participant_id if seat else None,
        refused=True,
        detail={"code": error.code, "act": (request.endpoint or "").rpartition(".")[2]},
    )
    note_refusal(entry, now=now())
