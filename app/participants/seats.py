"""A seat: one person's link with all that decides whether it opens the door, in one statement.

The page, the token exchange and Prosody's question ask the same rule, so they cannot disagree.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from hashlib import sha256
from uuid import UUID

from app.consents import texts
from app.db.direct import DirectConnection
from app.db.engine import Runner, run
from app.participants.permissions import Permission, effective
from app.recordings.states import LIVE, RUNNING

BY_CODE = "SELECT * FROM teleconference.seat_by_code(%s)"
BY_LINK = "SELECT * FROM teleconference.seat_by_link(%s, %s)"
BY_LINKS = """
    SELECT seat.*
    FROM unnest(%s::text[]::uuid[], %s::text[]::uuid[]) AS asked (participant_id, link_id)
    CROSS JOIN LATERAL teleconference.seat_by_link(asked.participant_id, asked.link_id) AS seat"""
# A person and the link they came by.
Place = tuple[UUID, UUID]


@dataclass(frozen=True)
class Seat:
    """One row of the database's `seat_by_…` functions, in the order of their columns."""

    organisation_id: UUID
    organisation_name: str
    organisation_permissions: Mapping[str, Mapping[str, bool]]
    session_id: UUID
    session_kind: str
    session_state: str
    room_name: str
    capacity: int
    planned_start: datetime | None
    planned_end: datetime | None
    participant_id: UUID
    role: str
    participant_state: str
    display_name: str
    locale: str
    participant_permissions: Mapping[str, bool]
    link_id: UUID
    link_expires_at: datetime
    link_revoked_at: datetime | None
    host_present: bool
    # What the organisation decided for this kind of visit; None leaves it to the deployment.
    early_join_s: int | None = None
    waiting_room: bool = False
    # What was decided about this person in the waiting room; '' when they never came to it.
    admission: str = ""
    # Whether the session plans to be recorded, and the person's last word on it.
    recording: str = "none"
    consent_act: str | None = None
    consent_language: str | None = None
    consent_sha256: str | None = None
    # Of the organisation's newest text in that language; None: it has none of its own.
    own_text_sha256: str | None = None
    # Of the session's newest recording, and why it stands there; '' without one.
    recording_state: str = ""
    recording_reason: str | None = None
    # Whether anything was shared in the session and is not deleted, in whatever state.
    has_files: bool = False

    @cached_property
    def permissions(self) -> frozenset[Permission]:
        """What this person may do in this session."""
        return effective(
            self.role,
            kind=self.session_kind,
            organisation=self.organisation_permissions,
            participant=self.participant_permissions,
        )

    @property
    def consent(self) -> str:
        """Their word on being recorded: `given`, `refused`, `withdrawn` or `missing`."""
        return texts.standing(
            self.consent_act, self.consent_language, self.consent_sha256, self.own_text_sha256
        )

    @property
    def is_host(self) -> bool:
        """Whether this person may be alone in the room."""
        return Permission.ENTER_WITHOUT_HOST in self.permissions

    def opens_at(self, early_join_s: int) -> datetime | None:
        """When the door opens; None when it has no planned time.

        Args:
            early_join_s: the deployment's, for an organisation that decided nothing.
        """
        early_s = early_join_s if self.early_join_s is None else self.early_join_s
        return self.planned_start and self.planned_start - timedelta(seconds=early_s)

    def barrier(self, *, early_join_s: int, now: datetime) -> str:
        """Return why this link does not open the door for good or for now, or ''.

        The order matters: what is final is told before what will pass.
        """
        if self.session_state in ("ended", "cancelled"):
            return f"session-{self.session_state}"
        if self.participant_state == "removed":
            return "removed"
        if self.link_revoked_at is not None:
            return "link-revoked"
        if now >= self.link_expires_at:
            return "link-expired"
        opens_at = self.opens_at(early_join_s)
        if self.session_state == "scheduled" and opens_at is not None and now < opens_at:
            return "too-early"
        return self.last_barrier

    @property
    def last_barrier(self) -> str:
        """What people in the session have against this person coming in, or ''."""
        return self.waiting_barrier or self.consent_barrier

    @property
    def consent_barrier(self) -> str:
        """Who has not agreed does not come in where a recorder is; not even a host."""
        is_recorded = self.recording_state in RUNNING
        return "consent-missing" if is_recorded and self.consent != "given" else ""

    @property
    def is_asked(self) -> bool:
        """Whether this person is to be asked if they may be recorded, and has not answered yet."""
        is_wanted = self.recording == "planned" or self.recording_state in LIVE
        return is_wanted and self.consent == "missing"

    @property
    def waiting_barrier(self) -> str:
        """What the waiting room has against this person, or ''. It is asked last: nobody waits at
        a door that is not open."""
        if self.is_host:
            return ""
        if self.admission == "denied":
            return "denied"
        return "not-admitted" if self.waiting_room and self.admission != "admitted" else ""


def code_hash(code: str) -> bytes:
    """Return what is stored of a link's code."""
    return sha256(code.encode()).digest()


def seat_by_code(db: Runner, code: str) -> Seat | None:
    """Return the seat a link's code stands for."""
    row = run(db, BY_CODE, (code_hash(code),))
    return Seat(*row) if row else None


def seat_by_link(db: Runner, *, participant_id: UUID, link_id: UUID) -> Seat | None:
    """Return the seat a Jitsi token names."""
    row = run(db, BY_LINK, (participant_id, link_id))
    return Seat(*row) if row else None


def seats_by_link(db: DirectConnection, asked: Collection[Place]) -> dict[Place, Seat]:
    """Return the seats that several tokens name, those there are, by one statement."""
    values = [[str(place[at]) for place in asked] for at in (0, 1)]
    seats = [Seat(*row) for row in db.rows(BY_LINKS, values)] if asked else []
    return {(seat.participant_id, seat.link_id): seat for seat in seats}
