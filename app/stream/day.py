"""`/stream/visits`: tells the clinic's page that the day's visits may have changed. What changed it
asks the API, so the two never differ."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

import structlog

from app.stream.door import Door
from app.stream.hub import Hub
from app.web.auth import Caller

log = structlog.get_logger()

# The first ring at once: something may have happened before the page listened.
OPENING = b"retry: 2000\nevent: changed\ndata: {}\n\n"
CHANGED = b"event: changed\ndata: {}\n\n"
# A busy hour is no reason to ask all the time.
PAUSE_S = 3.0
LOOK_AGAIN_S = 15.0


class DayBell:
    """One connection of one clinic's page, as long as its reader is signed in."""

    def __init__(
        self,
        door: Door,
        hub: Hub,
        threads: Executor,
        *,
        shown: tuple[dict[str, str], str],
        caller: Caller,
    ) -> None:
        self._door = door
        self._hub = hub
        self._threads = threads
        self._shown = shown
        self._organisation_id, self._subject = caller.organisation_id, caller.client_id
        hub.require_room_for_desk(self._organisation_id, self._subject)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield a ring now and whenever something happened, every few seconds at most."""
        listener = self._hub.join_day(self._organisation_id, self._subject)
        try:
            yield OPENING
            while await self._is_signed_in():
                if await listener.wait(LOOK_AGAIN_S):
                    yield CHANGED
                    await asyncio.sleep(PAUSE_S)
        finally:
            self._hub.leave_day(self._organisation_id, listener)

    async def _is_signed_in(self) -> bool:
        loop = asyncio.get_running_loop()
        try:
            return await loop.run_in_executor(self._threads, self._door.is_signed_in, *self._shown)
        except Exception as error:  # noqa: BLE001 - the database is away: the API decides meanwhile
            log.warning("session_unknown", kind=type(error).__name__)
            return True
