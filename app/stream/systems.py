"""`/stream/events`: what was missed from the feed, then what happens, without a gap between."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor
from dataclasses import dataclass
from uuid import UUID

from starlette.requests import Request

from app.errors import Invalid
from app.events import feed
from app.events.types import PATTERNS
from app.feed.service import position_of
from app.services import Services
from app.stream.hub import Hub, frame_of

PAGE = 200
# The first thing sent: where the stream begins, so that a reader cut off before its first event
# comes back to this place.
OPENING = b"id: %d\nretry: 2000\n\n"


@dataclass(frozen=True, slots=True)
class Wish:
    """What a system asks for."""

    after: int | None
    types: list[str]
    session_id: UUID | None


def wish_of(request: Request) -> Wish:
    """Read the question. `Last-Event-ID` wins: a client that reconnects repeats its address.

    Raises:
        Invalid: a cursor, type or id that is none.
    """
    unknown = set(request.query_params) - {"after", "types", "session_id"}
    if unknown:
        name = min(unknown)
        raise Invalid(f"{name}: There is no such field.", code="invalid_request", field=name)
    cursor = request.headers.get("last-event-id") or request.query_params.get("after")
    types = [t for t in request.query_params.get("types", "").split(",") if t]
    if any(name not in PATTERNS for name in types):
        raise Invalid("There is no such type of event.", code="invalid_request", field="types")
    after = position_of(cursor) if cursor else None
    return Wish(after, types, _uuid(request.query_params.get("session_id")))


class EventStream:
    """One connection of one system."""

    def __init__(
        self,
        services: Services,
        hub: Hub,
        threads: Executor,
        *,
        organisation_id: UUID,
        wish: Wish,
    ) -> None:
        self._services = services
        self._hub = hub
        self._threads = threads
        self._organisation_id = organisation_id
        self._wish = wish
        hub.require_room_for_system(organisation_id)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield what goes over the wire, until the reader is too slow or the token's time is over.

        A token is looked at once; whoever lost it is out when it would have expired.
        """
        ends_at = asyncio.get_running_loop().time() + self._services.settings.api_token_ttl_s
        wish, until = self._wish, self._hub.position or 0
        # From here on nothing is missed; what is older is read from the feed.
        listener = self._hub.join_events(
            self._organisation_id, after=wish.after, types=wish.types, session_id=wish.session_id
        )
        try:
            yield OPENING % (until if wish.after is None else wish.after)
            async for frames in self._missed(until):
                yield frames
            while not listener.is_lost and (frames := await listener.take(ends_at)):
                yield frames
        finally:
            self._hub.leave_events(self._organisation_id, listener)

    async def _missed(self, until: int) -> AsyncIterator[bytes]:
        position, loop = self._wish.after, asyncio.get_running_loop()
        while position is not None and position < until:
            page = await loop.run_in_executor(self._threads, self._read, position, until)
            if page.items:
                yield b"".join(map(frame_of, page.items))
            position = page.edge if page.has_more else None

    def _read(self, position: int, until: int) -> feed.FeedPage:
        with self._services.database.begin(self._organisation_id) as db:
            return feed.page(
                db,
                organisation_id=self._organisation_id,
                after=position,
                limit=PAGE,
                types=self._wish.types,
                session_id=self._wish.session_id,
                until=until,
            )


def _uuid(text: str | None) -> UUID | None:
    if not text:
        return None
    try:
        return UUID(text)
    except ValueError as error:
        raise Invalid(
            "session_id: Not a valid UUID.", code="invalid_request", field="session_id"
        ) from error
