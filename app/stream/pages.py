"""`/stream/j/{code}`: what a person's page must know, at once and whenever it changed."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import Executor

import orjson
import structlog

from app.clock import utc_now
from app.errors import NotFound
from app.participants import exchange
from app.participants.seats import Seat, seat_by_code
from app.services import Services
from app.stream.hub import Hub
from app.web import limits

log = structlog.get_logger()

OPENING = b"retry: 2000\n\n"
# Doors also open by the clock, which is no event.
LOOK_AGAIN_S = 15.0
AFTER_TROUBLE_S = 2.0


def seat_of(services: Services, code: str, address: str) -> Seat:
    """Return the seat a link belongs to.

    Raises:
        NotFound: nobody has such a link; audited, and counted as in the API.
        TooMany: this address shows too many of them.
    """
    with services.database.statements() as db:
        seat = seat_by_code(db, code)
    if seat is None:
        unknown = NotFound("This link is not known.", code="link_unknown")
        exchange.audit_unknown(services, unknown, address=address, now=utc_now())
        limits.refuse_guess(services, address)
        raise unknown
    return seat


class StateStream:
    """One connection of one page."""

    def __init__(
        self, services: Services, hub: Hub, threads: Executor, *, code: str, seat: Seat
    ) -> None:
        self._services = services
        self._hub = hub
        self._threads = threads
        self._code = code
        self._session_id, self._link = seat.session_id, seat.link_id
        hub.require_room_for_page(self._session_id, self._link)

    async def frames(self) -> AsyncIterator[bytes]:
        """Yield the state, and again whenever it is another one."""
        told = b""
        listener = self._hub.join_session(self._session_id, self._link)
        try:
            yield OPENING
            while True:
                state = await self._state()
                if state and state != told:
                    told = state
                    yield b"event: state\ndata: %s\n\n" % state
                await listener.wait(LOOK_AGAIN_S if state else AFTER_TROUBLE_S)
        finally:
            self._hub.leave_session(self._session_id, listener)

    async def _state(self) -> bytes:
        """Return the state as `/j/{code}/state` answers it, nothing while it cannot be read."""
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, self._read)
        except Exception as error:  # noqa: BLE001 - the page keeps what it knows meanwhile
            log.warning("state_unknown", kind=type(error).__name__)
            return b""

    def _read(self) -> bytes:
        # Their seat was found when they came, so no stranger is refused here.
        state = exchange.state(self._services, self._code, address="", now=utc_now())
        return orjson.dumps(state, option=orjson.OPT_UTC_Z)
