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
# So that nobody takes the places of all: the tabs of one link, the programs of one organisation.
MOST_OF_A_LINK = 20
MOST_OF_AN_ORGANISATION = 2000

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
    """A page that wants to know when anything happens in its session; `link` is whose it is."""

    def __init__(self, link: UUID) -> None:
        self.link = link
        self._changed = asyncio.Event()

    def offer(self) -> None:
        """Something happened."""
        self._changed.set()

    async def wait(self, seconds: float) -> None:
        """Wait until something happens, or for so long."""
        try:
            async with asyncio.timeout(seconds):
                await self._changed.wait()
        except TimeoutError:
            return
        self._changed.clear()


class Hub:
    """Who listens in this process. `position` is how far the feed was handed on, None before the
    database was reached for the first time."""

    def __init__(self) -> None:
        self.position: int | None = None
        self._systems: defaultdict[UUID, set[EventListener]] = defaultdict(set)
        self._pages: defaultdict[UUID, set[PageListener]] = defaultdict(set)

    @property
    def listeners(self) -> int:
        """How many connections listen."""
        return sum(map(len, self._systems.values())) + sum(map(len, self._pages.values()))

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
        of_theirs = sum(page.link == link for page in self._pages.get(session_id, ()))
        self._require_room(of_theirs < MOST_OF_A_LINK)

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

    def leave_events(self, organisation_id: UUID, listener: EventListener) -> None:
        """Forget a system."""
        _discard(self._systems, organisation_id, listener)

    def leave_session(self, session_id: UUID, listener: PageListener) -> None:
        """Forget a page."""
        _discard(self._pages, session_id, listener)


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
