"""The ASGI application of the streams."""

import asyncio
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from functools import partial
from http import HTTPStatus
from typing import Any

from sse_starlette import EventSourceResponse
from sse_starlette.sse import SendTimeoutError
from starlette.applications import Starlette
from starlette.middleware import Middleware
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from app.observability import configure_logging
from app.pages.security import origin
from app.services import Services
from app.settings import Settings
from app.stream.day import DayBell
from app.stream.door import REFUSALS, Door, address_of, program, reader
from app.stream.hub import Hub
from app.stream.pages import StateStream, seat_of
from app.stream.reader import FeedReader
from app.stream.systems import EventStream, wish_of
from app.web.auth import Caller
from app.wiring import build_services

# A proxy cuts what is silent for a minute.
HEARTBEAT_S = 15
HEARTBEAT = b":\n\n"
# A reader that takes nothing for so long is gone, or too slow to wait for.
SEND_TIMEOUT_S = 10


class Streams:
    """What the routes of one process work with."""

    def __init__(self, services: Services) -> None:
        self.services = services
        self.hub = Hub()
        self.door = Door(services)
        self._proxies = services.settings.trusted_proxies
        # As many as there are connections to the database: nobody waits inside the pool.
        self.threads = ThreadPoolExecutor(
            services.settings.database_pool_size, thread_name_prefix="read"
        )
        self.reader: FeedReader | None = None

    @asynccontextmanager
    async def life(self, _app: Starlette) -> AsyncIterator[None]:
        """Read the feed as long as the process serves."""
        self.reader = FeedReader(self.services, self.hub, asyncio.get_running_loop())
        self.reader.start()
        yield
        self.reader.stop()
        self.threads.shutdown(wait=False, cancel_futures=True)
        self.services.database.dispose()

    async def events(self, request: Request) -> Response:
        """Push the organisation's events."""
        wish = wish_of(request)
        caller = await self._admit(program(request, proxies=self._proxies), "events:read")
        stream = EventStream(
            self.services,
            self.hub,
            self.threads,
            organisation_id=caller.organisation_id,
            wish=wish,
        )
        return _push(stream)

    async def visits(self, request: Request) -> Response:
        """Ring when the day's visits may have changed, for whoever is signed in to see them."""
        shown = reader(request, proxies=self._proxies)
        caller = await self._admit(shown, "appointments:read")
        return _push(DayBell(self.door, self.hub, self.threads, shown=shown, caller=caller))

    async def page(self, request: Request) -> Response:
        """Push the state of the visit behind a personal link."""
        code = request.path_params["code"]
        seat = await self._do(
            seat_of, self.services, code, address_of(request, proxies=self._proxies)
        )
        return _push(StateStream(self.services, self.hub, self.threads, code=code, seat=seat))

    async def health(self, _request: Request) -> Response:
        """Whether news of the feed arrive, and how many listen."""
        reading = self.reader is not None and self.reader.is_connected
        body = {"status": "ok" if reading else "down", "listeners": self.hub.listeners}
        status = HTTPStatus.OK if reading else HTTPStatus.SERVICE_UNAVAILABLE
        return JSONResponse(body, status, {"Cache-Control": "no-store"})

    async def _admit(self, shown: tuple[dict[str, str], str], scope: str) -> Caller:
        caller: Caller = await self._do(partial(self.door.admit, *shown, scope=scope))
        return caller

    async def _do(self, work: Any, *arguments: Any) -> Any:
        return await asyncio.get_running_loop().run_in_executor(self.threads, work, *arguments)


def create_app(services: Services) -> Starlette:
    """Return the application."""
    streams = Streams(services)
    page_origin = origin(services.settings.public_url)
    return Starlette(
        routes=[
            Route("/stream/events", streams.events, methods=["GET"]),
            Route("/stream/visits", streams.visits, methods=["GET"]),
            Route("/stream/j/{code}", streams.page, methods=["GET"]),
            Route("/health", streams.health, methods=["GET"]),
        ],
        middleware=[
            Middleware(
                CORSMiddleware,
                allow_origins=[page_origin],
                allow_methods=["GET"],
                allow_credentials=True,  # the cookie of staff; the page may be at another port
            )
        ],
        exception_handlers=REFUSALS,
        lifespan=streams.life,
    )


def create_app_from_env() -> Starlette:
    """Return the application for this process' environment; what the web server calls."""
    settings = Settings.from_env()
    configure_logging(settings.log_level)
    return create_app(build_services(settings, application="teleconsult-stream"))


class Push(EventSourceResponse):
    """A stream that ends quietly when its reader takes nothing."""

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve it."""
        with suppress(SendTimeoutError):
            await super().__call__(scope, receive, send)


def _push(stream: EventStream | StateStream | DayBell) -> Response:
    return Push(
        stream.frames(),
        ping=HEARTBEAT_S,
        ping_message_factory=lambda: HEARTBEAT,  # type: ignore[arg-type,return-value]
        send_timeout=SEND_TIMEOUT_S,
    )
