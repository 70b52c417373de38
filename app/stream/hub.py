"""Fan-out in memory: who listens, and handing each event to them. All in the loop's one thread."""

import asyncio
from collections import defaultdict, deque
from collections.abc import Collection, Sequence
from typing import Any, TypeVar
from uuid import UUID

from app.errors import Unavailable
from app.events import feed
from app.events.types import is_among

# A reader that is this far behind is closed; it comes back by the id of its last event.
MOST_WAITING = 1000
MOST_LISTENERS = 5000
# So that nobody takes the places of all: the tabs of one person, the programs of one organisation.
MOST_OF_A_PERSON = 20
MOST_OF_AN_ORGANISATION = 2000
# What a day's visits are made of.
OF_THE_DAY = ("appointment.*", "visit.*", "session.*", "participant.*")

Key = TypeVar("Key")


class EventListener:
    """A system that wants events; `since` is the position after which they come live."""

    def __init__(
        self, since: int, *, types: Collection[str] = (), session_id: UUID | None = None
    ) -> None:
        self.since = since
        self.is_lost = False
        self._types = types
        self._session_id = session_id
        self._waiting: deque[bytes] = deque()
        self._ready = asyncio.Event()

    def offer(self, event: Any, frame: bytes) -> None:
        """Take an event that is wanted, unless too many wait already."""
        if self._session_id not in (None, event.session_id) or event.position <= self.since:
            return
        if self.is_lost or not is_among(event.type, self._types):
            return
        self.is_lost = len(self._waiting) >= MOST_WAITING
        if not self.is_lost:
            self._waiting.append(frame)
        self._ready.set()

    async def take(self, until: float) -> bytes:
        """Wait for events and return all there are as they go over the wire; nothing when there
        are none before this moment of the loop's clock."""
        try:
            async with asyncio.timeout_at(until):
                await self._ready.wait()
        except TimeoutError:
            return b""
        self._ready.clear()
        frames = b"".join(self._waiting)
        self._waiting.clear()
        return frames


class PageListener:
    """A page that wants to know when anything happens; `owner` is the link or the person whose it
    is."""

    def __init__(self, owner: UUID) -> None:
        self.owner = owner
        self._changed = asyncio.Event()

    def offer(self) -> None:
        """Something happened."""
        self._changed.set()

    async def wait(self, seconds: float) -> bool:
        """Wait until something happens, or for so long; tell whether it did."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return False
        self._changed.clear()
        return True


class Hub:
    """Who listens in this process. `position` is how far the feed was handed on, None before the
    database was reached for the first time."""

    def __init__(self) -> None:
        self.position: int | None = None
        self._systems: defaultdict[UUID, set[EventListener]] = defaultdict(set)
        self._pages: defaultdict[UUID, set[PageListener]] = defaultdict(set)
        self._desks: defaultdict[UUID, set[PageListener]] = defaultdict(set)

    @property
    def listeners(self) -> int:
        """How many connections listen."""
        kinds = (self._systems, self._pages, self._desks)
        return sum(len(those) for kind in kinds for those in kind.values())

    def begin(self, position: int) -> None:
        """Hand on what comes after this position."""
        self.position = position

    def publish(self, events: Sequence[Any]) -> None:
        """Hand events on, in the order of their positions."""
        for event in events:
            systems = self._systems.get(event.organisation_id)
            if systems:
                frame = frame_of(event)
                for system in systems:
                    system.offer(event, frame)
            for page in self._pages.get(event.session_id, ()):
                page.offer()
            for desk in self._desks.get(event.organisation_id, ()):
                if is_among(event.type, OF_THE_DAY):
                    desk.offer()
            self.position = event.position

    def require_room_for_system(self, organisation_id: UUID) -> None:
        """Let one more system listen.

        Raises:
            Unavailable: the feed was not reached yet, or too many listen.
        """
        of_theirs = len(self._systems.get(organisation_id, ()))
        self._require_room(of_theirs < MOST_OF_AN_ORGANISATION)

    def require_room_for_page(self, session_id: UUID, link: UUID) -> None:
        """Let one more page listen.

        Raises:
            Unavailable: see above.
        """
        self._require_room(_count(self._pages.get(session_id, ()), link) < MOST_OF_A_PERSON)

    def require_room_for_desk(self, organisation_id: UUID, subject: UUID) -> None:
        """Let one more clinic's page listen.

        Raises:
            Unavailable: see above.
        """
        of_theirs = _count(self._desks.get(organisation_id, ()), subject)
        self._require_room(of_theirs < MOST_OF_A_PERSON)

    def _require_room(self, is_fair: bool) -> None:
        if self.position is None or self.listeners >= MOST_LISTENERS or not is_fair:
            raise Unavailable("Too many listen, or too early; try again.", code="stream_busy")

    def join_events(
        self,
        organisation_id: UUID,
        *,
        after: int | None,
        types: Collection[str],
        session_id: UUID | None,
    ) -> EventListener:
        """Add a system; what comes after `listener.since` is kept for it from this moment."""
        since = max(self.position or 0, after or 0)
        listener = EventListener(since, types=types, session_id=session_id)
        self._systems[organisation_id].add(listener)
        return listener

    def join_session(self, session_id: UUID, link: UUID) -> PageListener:
        """Add a page."""
        listener = PageListener(link)
        self._pages[session_id].add(listener)
        return listener

    def join_day(self, organisation_id: UUID, subject: UUID) -> PageListener:
        """Add a clinic's page of a member of staff."""
        listener = PageListener(subject)
        self._desks[organisation_id].add(listener)
        return listener

    def leave_events(self, organisation_id: UUID, listener: EventListener) -> None:
        """Forget a system."""
        _discard(self._systems, organisation_id, listener)

    def leave_session(self, session_id: UUID, listener: PageListener) -> None:
        """Forget a page."""
        _discard(self._pages, session_id, listener)

    def leave_day(self, organisation_id: UUID, listener: PageListener) -> None:
        """Forget a clinic's page."""
        _discard(self._desks, organisation_id, listener)


def _count(pages: Collection[PageListener], owner: UUID) -> int:
    return sum(page.owner == owner for page in pages)


def _discard(sets: dict[UUID, set[Key]], key: UUID, listener: Key) -> None:
    sets[key].discard(listener)
    if not sets[key]:
        del sets[key]


def frame_of(event: Any) -> bytes:
    """Return one event as it goes over the wire; its id is its position in the feed."""
    return b"id: %d\nevent: %s\ndata: %s\n\n" % (
        event.position,
        event.type.encode(),
        feed.written(event),
    )
