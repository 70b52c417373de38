"""Personal links: made, replaced, opened.

A code is derived from a key, the link's id and nothing else, so a message that is written later
can carry it although only its hash is stored. Whoever has the database alone has no link.
"""

import base64
import hmac
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256
from uuid import UUID

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from app.db.engine import Runner
from app.errors import Forbidden, Gone, NotFound, Unavailable
from app.ids import new_id
from app.participants.models import Link, Participant
from app.participants.seats import Seat, code_hash, seat_by_code
from app.sessions.models import CareSession
from app.setting_values import LinkKey
from app.settings import Settings

CODE_BYTES = 16  # 128 bits
LONGEST_CODE = 64


@dataclass(frozen=True, slots=True)
class LinkView:
    """What the page behind a link shows. `reason` is a barrier code or '' (see Seat.barrier)."""

    participant_id: UUID
    organisation_id: UUID
    organisation_name: str
    session_id: UUID
    role: str
    display_name: str
    locale: str
    participant_state: str
    session_state: str
    planned_start: datetime | None
    planned_end: datetime | None
    opens_at: datetime | None
    may_enter: bool
    reason: str
    others: list[tuple[str, str]]
    # Whether they should be asked first if they may be recorded.
    is_asked: bool = False


def create_link(
    db: Session,
    participant: Participant,
    session: CareSession,
    *,
    settings: Settings,
    now: datetime,
) -> Link:
    """Make the participant's live link; it dies `link_ttl_s` after the planned end or after now."""
    link_id = new_id()
    key = settings.link_keys[0]
    link = Link(
        id=link_id,
        organisation_id=participant.organisation_id,
        participant_id=participant.id,
        code_hash=code_hash(_derive(key, link_id)),
        key_id=key.key_id,
        expires_at=_expiry(session, settings, now),
        created_at=now,
    )
    db.add(link)
    db.flush()
    return link


def replace_link(
    db: Session,
    participant: Participant,
    session: CareSession,
    *,
    settings: Settings,
    now: datetime,
) -> Link:
    """Kill the participant's link, and with it every token made from it, and make a new one."""
    revoke_links(db, participant_id=participant.id, now=now)
    return create_link(db, participant, session, settings=settings, now=now)


def follow_plan(db: Session, session: CareSession, *, settings: Settings) -> None:
    """Let the live links of a session that was put off live until after its new end, too."""
    if session.planned_start is None:
        return
    theirs = select(Participant.id).where(Participant.session_id == session.id)
    db.execute(
        update(Link)
        .where(Link.participant_id.in_(theirs), Link.revoked_at.is_(None))
        .values(expires_at=_expiry(session, settings, session.planned_start))
        .execution_options(synchronize_session=False)
    )


def revoke_links(db: Session, *, participant_id: UUID, now: datetime) -> None:
    """Kill the participant's live link."""
    db.execute(
        update(Link)
        .where(Link.participant_id == participant_id, Link.revoked_at.is_(None))
        .values(revoked_at=now)
    )


def live_link(db: Session, *, participant_id: UUID) -> Link | None:
    """Return the participant's live link, if there is one."""
    query = select(Link).where(Link.participant_id == participant_id, Link.revoked_at.is_(None))
    return db.scalars(query).first()


def as_code(secret: bytes) -> str:
    """Write the first 128 bits of a secret so that it can be read out: 26 lower-case letters and
    digits."""
    return base64.b32encode(secret[:CODE_BYTES]).decode().rstrip("=").lower()


def code_for(link: Link, settings: Settings) -> str:
    """Return the code of a link.

    Raises:
        Unavailable: the key it was made with is no longer among LINK_KEYS; replace the link.
    """
    for key in settings.link_keys:
        if key.key_id == link.key_id:
            return _derive(key, link.id)
    raise Unavailable(
        f"The link key {link.key_id} is not configured; the link must be replaced.",
        code="link_key_missing",
    )


def url_for(link: Link, settings: Settings) -> str:
    """Return the address a participant gets."""
    return f"{settings.public_url}/j/{code_for(link, settings)}"


def open_seat(db: Runner, code: str) -> Seat:
    """Return the seat behind a code.

    Raises:
        NotFound: nobody has such a link.
    """
    seat = seat_by_code(db, code) if len(code) <= LONGEST_CODE else None
    if seat is None:
        raise NotFound("This link is not known.", code="link_unknown")
    return seat


def require_valid(seat: Seat, barrier: str) -> None:
    """Refuse what will never change; waiting is not refused.

    Raises:
        Gone: the session is over, or the link was replaced or has expired.
        Forbidden: the person was removed.
    """
    if barrier in ("session-ended", "session-cancelled"):
        raise Gone(f"This session is {seat.session_state}.", code=f"session_{seat.session_state}")
    if barrier == "removed":
        raise Forbidden("You were removed from this session.", code="participant_removed")
    if barrier == "denied":
        raise Forbidden("You were not admitted to this session.", code="participant_denied")
    if barrier in ("link-revoked", "link-expired"):
        raise Gone(
            "This link is no longer valid; use the newest one you were sent.",
            code=barrier.replace("-", "_"),
        )


FINAL = (
    "session-ended", "session-cancelled", "removed", "denied", "link-revoked", "link-expired",
)  # fmt: skip


def waiting_reason(seat: Seat, barrier: str) -> str:
    """Return why this person must wait, or ''."""
    if not barrier and not seat.is_host and not seat.host_present:
        return "waiting-for-host"
    return barrier


def resolve(db: Session, code: str, *, early_join_s: int, now: datetime) -> LinkView:
    """Return what the page behind a link shows.

    Raises:
        NotFound: nobody has such a link.
        Gone: it was replaced or has expired (and the session is not over, which the page shows).
    """
    seat = open_seat(db, code)
    barrier = seat.barrier(early_join_s=early_join_s, now=now)
    if barrier in ("link-revoked", "link-expired"):
        require_valid(seat, barrier)
    reason = waiting_reason(seat, barrier)
    return LinkView(
        participant_id=seat.participant_id,
        organisation_id=seat.organisation_id,
        organisation_name=seat.organisation_name,
        session_id=seat.session_id,
        role=seat.role,
        display_name=seat.display_name,
        locale=seat.locale,
        participant_state=seat.participant_state,
        session_state=seat.session_state,
        planned_start=seat.planned_start,
        planned_end=seat.planned_end,
        opens_at=seat.opens_at(early_join_s),
        may_enter=not reason,
        reason=reason,
        # Whoever is out for good is not told who else is in.
        others=[] if reason in FINAL else _others(db, seat),
        is_asked=seat.is_asked,
    )


def _expiry(session: CareSession, settings: Settings, now: datetime) -> datetime:
    last = session.planned_end or session.planned_start or now
    return last + timedelta(seconds=settings.link_ttl_s)


def _others(db: Session, seat: Seat) -> list[tuple[str, str]]:
    rows = db.execute(
        select(Participant.display_name, Participant.role)
        .where(
            Participant.session_id == seat.session_id,
            Participant.id != seat.participant_id,
            Participant.state != "removed",
        )
        .order_by(Participant.created_at, Participant.id)
    )
    return [(name, role) for name, role in rows]


def _derive(key: LinkKey, link_id: UUID) -> str:
    return as_code(hmac.digest(key.secret, b"link:" + link_id.bytes, sha256))
