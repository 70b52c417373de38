"""What a page shows for one personal link: a pure step from the link's facts to words and data."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

from app.pages.languages import catalogue

ROLE_KEYS: Mapping[str, str] = {
    "doctor": "role.doctor",
    "nurse": "role.nurse",
    "patient": "role.patient",
    "paramedic": "role.paramedic",
    "interpreter": "role.interpreter",
    "relative": "role.relative",
    "observer": "role.observer",
}
# Every state a page can be in; `state.<name>.title` and `.text` exist for each in every catalogue.
STATES = (
    "consent", "consent-wait", "consent-said", "too-early", "waiting", "queue", "denied",
    "devices", "devices-refused", "connecting", "left",
    "ended", "cancelled", "removed", "link-expired", "link-revoked", "link-unknown",
    "playback-unknown", "playback-expired", "playback-revoked", "playback-used-up",
    "playback-deleted", "playback-shut", "playback-over", "playback-not-yours", "file-busy",
    "room-full", "already-connected", "replaced", "unreachable", "unsupported", "failed",
)  # fmt: skip
# Barrier codes of `app.participants.seats` -> states; any other visit begins in the lobby.
BARRIER_STATES: Mapping[str, str] = {
    "removed": "removed",
    "denied": "denied",
    "session-ended": "ended",
    "session-cancelled": "cancelled",
    "too-early": "too-early",
}
ERROR_STATES: Mapping[str, str] = {
    "link_unknown": "link-unknown",
    "link_revoked": "link-revoked",
    "link_expired": "link-expired",
    "playback_link_unknown": "playback-unknown",
    "playback_expired": "playback-expired",
    "playback_revoked": "playback-revoked",
    "playback_used_up": "playback-used-up",
    "recording_deleted": "playback-deleted",
    "playback_shut": "playback-shut",
    "not_permitted": "playback-not-yours",
    "streams_busy": "file-busy",
}


class Visit(Protocol):
    """The facts of one link a page needs (`app.participants.links.LinkView` has them)."""

    @property
    def participant_id(self) -> UUID: ...
    @property
    def organisation_name(self) -> str: ...
    @property
    def role(self) -> str: ...
    @property
    def display_name(self) -> str: ...
    @property
    def locale(self) -> str: ...
    @property
    def planned_start(self) -> datetime | None: ...
    @property
    def planned_end(self) -> datetime | None: ...
    @property
    def opens_at(self) -> datetime | None: ...
    @property
    def reason(self) -> str: ...
    @property
    def others(self) -> list[tuple[str, str]]: ...
    @property
    def is_asked(self) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Showing:
    """The facts of one playback link a page needs."""

    organisation_name: str
    viewer_name: str
    locale: str
    started_at: datetime | None
    stopped_at: datetime | None
    expires_at: datetime
    views_left: int


@dataclass(frozen=True, slots=True)
class Person:
    """A name and, in the page's language, what the person is here."""

    name: str
    role: str


@dataclass(frozen=True, slots=True, kw_only=True)
class PageView:
    """Everything the template needs; times are aware UTC, shown in local time by the script."""

    state: str
    language: str
    texts: Mapping[str, str]
    organisation: str
    me: Person | None
    others: list[Person]
    starts: datetime | None
    ends: datetime | None
    data: dict[str, Any]


# Where it is over for this person, whoever else is in.
OVER = frozenset({"ended", "cancelled", "removed", "link-revoked", "link-expired"})


def welcome(visit: Visit, *, language: str, stream_url: str, now: datetime) -> PageView:
    """Return the page of a valid link, in the state the session and the person are in.

    Where it is over for this person the page says only that: no names, not even hidden ones.
    """
    state = first_state(visit)
    if state in OVER:
        return replace(notice(state, language=language), organisation=visit.organisation_name)
    me = _person(visit.display_name, visit.role, language)
    return PageView(
        state=state,
        language=language,
        texts=catalogue(language),
        organisation=visit.organisation_name,
        me=me,
        others=[_person(name, role, language) for name, role in visit.others],
        starts=visit.planned_start,
        ends=visit.planned_end,
        data=_data(visit, me, stream_url, now),
    )


def consent(visit: Visit, *, language: str, stream_url: str, now: datetime) -> PageView:
    """Return the page that only asks whether this person may be recorded; where it is over for
    them, the page says that."""
    page = welcome(visit, language=language, stream_url=stream_url, now=now)
    return replace(page, state="consent") if page.me is not None else page


def notice(state: str, *, language: str) -> PageView:
    """Return a page that only says something: a dead link, or a fault of ours."""
    return PageView(
        state=state,
        language=language,
        texts=catalogue(language),
        organisation="",
        me=None,
        others=[],
        starts=None,
        ends=None,
        data={},
    )


def first_state(visit: Visit) -> str:
    """Return the state a visit begins in; waiting for the host comes after the devices."""
    return BARRIER_STATES.get(visit.reason, "lobby")


def _person(name: str, role: str, language: str) -> Person:
    key = ROLE_KEYS.get(role)
    return Person(name, catalogue(language)[key] if key else role)


def _data(visit: Visit, me: Person, stream_url: str, now: datetime) -> dict[str, Any]:
    return {
        "participant": str(visit.participant_id),
        "name": me.name,
        "opensAt": _iso(visit.opens_at),
        # Where changes are pushed from; empty: the page asks.
        "streamUrl": stream_url,
        "letInBy": _lets_in(visit),
        # Whether they are asked first if they may be recorded.
        "isAsked": visit.is_asked,
        # The phone's clock may be wrong; the countdown runs on ours.
        "now": _iso(now),
    }


def _lets_in(visit: Visit) -> str | None:
    """Return the name of who will probably let this person in."""
    by_role = {role: name for name, role in reversed(visit.others)}
    return by_role.get("doctor") or by_role.get("nurse")


def _iso(at: datetime | None) -> str | None:
    return at.astimezone(UTC).isoformat().replace("+00:00", "Z") if at else None
