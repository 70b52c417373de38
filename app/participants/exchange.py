"""The click: a link's code becomes a Jitsi token, or a reason to wait."""

from datetime import datetime
from typing import Any

from app.audit import refusals
from app.audit import service as audit
from app.audit.service import Actor, Entry
from app.db.engine import Runner
from app.errors import DomainError
from app.ids import new_id
from app.participants import links, waiting
from app.participants.seats import Seat
from app.participants.tokens import JitsiToken, meeting_links, mint
from app.participants.waiting import Place
from app.services import Services
from app.settings import Settings
from app.web.addresses import network_of

POLL_S = 2


def exchange(services: Services, code: str, *, address: str, now: datetime) -> dict[str, Any]:
    """Return the token and where to use it, or `{"state": "waiting", …}`.

    Two statements: one function call finds the seat, one insert writes the audit entry.

    Args:
        address: where this comes from; refusals of strangers are counted by it.

    Raises:
        NotFound, Gone, Forbidden: see `links`; each is audited.
        Unavailable: the database does not answer, or there is no signing key.
    """
    with services.database.direct() as db:
        return _enter(db, services, _seat(db, services, code, address, now), now)


def state(services: Services, code: str, *, address: str, now: datetime) -> dict[str, Any]:
    """Return whether this person may enter now; the waiting page asks this every two seconds.

    Raises:
        NotFound: nobody has such a link.
    """
    with services.database.direct() as db:
        seat = _seat(db, services, code, address, now)
        barrier = seat.barrier(early_join_s=services.settings.early_join_s, now=now)
        place = _place(db, services, seat, barrier, now)
        message = waiting.told(db, seat) if barrier == "denied" else None
    reason = links.waiting_reason(seat, barrier)
    return {
        "session_state": seat.session_state,
        "participant_state": seat.participant_state,
        "may_enter": not reason,
        "reason": reason,
        "waiting": place and place.shown(),
        "recording": {
            "state": seat.recording_state,
            "reason": seat.recording_reason,
            "consent": seat.consent,
            "is_asked": seat.is_asked,
        },
        "message": message,
    }


def audit_unknown(services: Services, error: DomainError, *, address: str, now: datetime) -> None:
    """Note that somebody tried a link nobody has, or one that is dead."""
    with services.database.direct() as db:
        _refuse(db, services, None, error, who=network_of(address), now=now)


def _seat(db: Runner, services: Services, code: str, address: str, now: datetime) -> Seat:
    try:
        return links.open_seat(db, code)
    except DomainError as error:
        _refuse(db, services, None, error, who=network_of(address), now=now)
        raise


def _enter(db: Runner, services: Services, seat: Seat, now: datetime) -> dict[str, Any]:
    settings = services.settings
    barrier = seat.barrier(early_join_s=settings.early_join_s, now=now)
    try:
        links.require_valid(seat, barrier)
    except DomainError as error:
        _refuse(db, services, seat, error, who=str(seat.participant_id), now=now)
        raise
    reason = links.waiting_reason(seat, barrier)
    if reason:
        return _waiting(seat, reason, settings, _place(db, services, seat, barrier, now))
    token = mint(
        seat, signer=services.keys.signer(now), settings=settings, token_id=new_id(), now=now
    )
    services.entries.record(db, _entry(seat, None), now=now)
    return _ready(seat, token, settings)


def _place(db: Runner, services: Services, seat: Seat, barrier: str, now: datetime) -> Place | None:
    """Note a sign of life of who waits to be admitted, and return where they stand."""
    if barrier != "not-admitted":
        return None
    return waiting.attend(db, services.database, seat, now=now)


def _waiting(seat: Seat, reason: str, settings: Settings, place: Place | None) -> dict[str, Any]:
    return {
        "state": "waiting",
        "reason": reason,
        "opens_at": seat.opens_at(settings.early_join_s),
        "poll_s": POLL_S,
        **({"waiting": place.shown()} if place else {}),
    }


def _ready(seat: Seat, token: JitsiToken, settings: Settings) -> dict[str, Any]:
    return {
        "state": "ready",
        "room": seat.room_name,
        "jwt": token.text,
        "expires_at": token.expires_at,
        "display_name": seat.display_name,
        "role": seat.role,
        "permissions": sorted(seat.permissions),
        "language": seat.locale,
        "jitsi": {
            "public_url": settings.jitsi_public_url,
            "domain": settings.jitsi_xmpp_domain,
            "muc": settings.jitsi_muc_domain,
            "focus": settings.jitsi_focus_domain,
            "hidden": settings.jitsi_hidden_domain,
            "websocket_url": settings.jitsi_websocket_url,
        },
        "links": meeting_links(seat, token, settings),
    }


def _refuse(
    db: Runner,
    services: Services,
    seat: Seat | None,
    error: DomainError,
    *,
    who: str,
    now: datetime,
) -> None:
    bound = services.settings.audit_refusals
    refusals.note(db, services.limiter, _entry(seat, error), who=who, bound=bound, now=now)


def _entry(seat: Seat | None, error: DomainError | None) -> Entry:
    return Entry(
        action="link.opened",
        actor=Actor("participant", str(seat.participant_id)) if seat else audit.STRANGER,
        organisation_id=seat.organisation_id if seat else None,
        session_id=seat.session_id if seat else None,
        participant_id=seat.participant_id if seat else None,
        refused=error is not None,
        detail={"code": error.code} if error else None,
    )
