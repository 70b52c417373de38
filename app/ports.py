"""What the service calls outside, in its own words. Adapters are chosen in `app.wiring` only."""

from collections.abc import Callable, Generator, Iterable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from datetime import datetime
from email.message import EmailMessage
from typing import Any, Protocol
from uuid import UUID


@dataclass(frozen=True, slots=True)
class RoomOrder:
    """One command to a live room. `id` makes a repeat recognisable; `args` is JSON."""

    id: UUID
    name: str
    args: Mapping[str, Any]


# What the room reports of an order, waited for so many seconds at most; raises as `Rooms.execute`.
Report = Callable[[float], dict[str, Any]]


class Rooms(Protocol):
    """The live rooms, reached through the gateway."""

    def give(self, order: RoomOrder) -> Report:
        """Hand an order over and go on; what it led to is asked for later.

        Raises:
            app.errors.Unavailable: there is nobody to carry it out now; it may still happen.
        """

    def execute(self, order: RoomOrder, *, timeout_s: float) -> dict[str, Any]:
        """Have the room carry out an order and return what it reports.

        Raises:
            app.errors.Unavailable: no confirmation within `timeout_s`; it may still happen.
            app.errors.Conflict: the room refused the order.
        """

    def gateway_is_alive(self) -> bool:
        """Tell whether a gateway renewed its sign of life in the last seconds."""


class Mailer(Protocol):
    """Outgoing e-mail."""

    def send(self, message: EmailMessage) -> None:
        """Hand one message to the mail server.

        Raises:
            app.errors.Unavailable: it did not take the message now.
            app.errors.Invalid: it never will (bad address).
        """


class NotificationService(Protocol):
    """The hospital's own way of telling its people something."""

    def send(self, message_id: str, message: Mapping[str, Any]) -> None:
        """Hand one message over; `message_id` makes a repeat recognisable.

        Raises:
            app.errors.Unavailable: it did not take the message now.
            app.errors.Invalid: it never will.
        """


class SmsGateway(Protocol):
    """Outgoing texts to phones."""

    def send(self, message_id: str, number: str, text: str) -> None:
        """Hand one text over; `number` is E.164, `message_id` makes a repeat recognisable.

        Raises:
            app.errors.Unavailable: it did not take the text now.
            app.errors.Invalid: it never will.
        """


class HttpSender(Protocol):
    """Outgoing HTTP to addresses that customers chose."""

    def post(self, url: str, body: bytes, headers: Mapping[str, str]) -> int:
        """Send `body` once and return the status code of the answer.

        Raises:
            app.errors.Unavailable: no answer in time, or a 429 or 5xx.
            app.errors.Invalid: an address we must not call, or any other answer that is no success.
        """


class IdentityHttp(Protocol):
    """HTTP to a hospital's own identity provider."""

    def get(self, url: str) -> dict[str, Any]:
        """Return the JSON object at an address.

        Raises:
            app.errors.Unavailable: no such answer in time.
        """

    def post_form(
        self, url: str, form: Mapping[str, str], basic: tuple[str, str] | None
    ) -> tuple[int, dict[str, Any]]:
        """Send a form once and return the status and the JSON object of the answer.

        Raises:
            app.errors.Unavailable: no such answer in time.
        """


@dataclass(frozen=True, slots=True)
class Allowance:
    """How often something happened in the present window of time, and how often it may."""

    amount: int
    window_s: int
    used: int
    resets_in_s: int

    @property
    def remaining(self) -> int:
        """How often it may still happen."""
        return max(0, self.amount - self.used)

    @property
    def is_exceeded(self) -> bool:
        """Whether it happened more often than it may."""
        return self.used > self.amount


class Limiter(Protocol):
    """Counts that all processes share. When they cannot be reached nothing is limited."""

    def hit(self, key: str, *, amount: int, window_s: int, ahead: int = 1) -> Allowance | None:
        """Count one more; None when nobody counts just now.

        With `ahead`, so many are counted at once and used up in this process: fewer may then
        happen in a window than `amount`, by what other processes have left, but never more.
        """

    def look(self, key: str, *, amount: int, window_s: int) -> Allowance | None:
        """Return what was counted, counting nothing."""


# Says that the turn is still used.
GoOn = Callable[[], None]


class Turns(Protocol):
    """Things that one process at a time does, of all processes. When they cannot be reached nobody
    is held back: what must not happen twice is decided by the database."""

    def turn(self, name: str) -> AbstractContextManager[GoOn | None]:
        """Hold a turn for as long as the block runs and says every few seconds that it goes on.

        Gives None when somebody else has it.
        """


@dataclass(frozen=True, slots=True)
class OutsideService:
    """A service of the hospital's: its base address, and the bearer token it takes ('' = none)."""

    url: str
    token: str = field(repr=False)


@dataclass(frozen=True, slots=True)
class DirectoryEntry:
    """A patient or a provider as the hospital's service knows them."""

    reference: str
    display_name: str = field(repr=False)
    email: str | None = field(repr=False)
    phone: str | None = field(repr=False)
    language: str | None
    is_active: bool


@dataclass(frozen=True, slots=True)
class VisitStatus:
    """Where an appointment and its visit stand: all of it, so that a report can be repeated and
    the newest is enough."""

    appointment_id: UUID
    appointment_reference: str | None
    patient_reference: str
    provider_reference: str
    visit_type: str
    status: str
    status_since: datetime
    planned_start: datetime
    planned_end: datetime
    started_at: datetime | None
    ended_at: datetime | None


class Directory(Protocol):
    """The hospital's Patient Service and Doctor Service."""

    def find(self, service: OutsideService, *, kind: str, reference: str) -> DirectoryEntry | None:
        """Return the `patient` or `provider` with this reference, or None: there is none.

        Raises:
            app.errors.Unavailable: no answer in time, or a 429 or 5xx.
            app.errors.Invalid: the answer makes no sense.
        """

    def report(self, service: OutsideService, *, kind: str, status: VisitStatus) -> None:
        """Tell the service where a visit stands. Repeating it changes nothing.

        Raises:
            app.errors.Unavailable: it did not take it now.
            app.errors.Invalid: it never will.
        """


class Pings(Protocol):
    """A part whose health is shown on /health."""

    def ping(self) -> None:
        """Return quietly when the part answers.

        Raises:
            app.errors.Unavailable: it does not.
        """


# A stream that is read as it is asked for, and closed.
Pieces = Generator[bytes, None, None]


class FileStore(Protocol):
    """Where files lie, each under a key: names of `a-z 0-9 . _ -` with `/` between them."""

    def put(self, key: str, content: Iterable[bytes]) -> None:
        """Store a stream. It is there whole or not at all, and replaces what was there.

        Raises:
            app.errors.Unavailable: the store does not take it now.
        """

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> Pieces:
        """Return what is stored as pieces of a few hundred kilobytes at most, or `length` bytes
        of it from `start` on (bytes, from 0); what lies behind the end is left out. Whoever stops
        early closes it.

        Raises:
            app.errors.NotFound: nothing is stored under this key.
            app.errors.Unavailable: the store does not answer now.
        """

    def delete(self, key: str) -> None:
        """Remove what is stored; nothing there is as well.

        Raises:
            app.errors.Unavailable: the store does not answer now.
        """

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Return the keys that begin with `prefix`, in order.

        Raises:
            app.errors.Unavailable: the store does not answer now.
        """

    def forget_unfinished(self, *, before: datetime) -> None:
        """Remove what was begun before a moment and never became whole: whoever wrote it died.

        Raises:
            app.errors.Unavailable: the store does not answer now.
        """


class Scanner(Protocol):
    """Looks for malware."""

    def scan(self, content: Iterable[bytes]) -> str:
        """Return what was found in a stream, or ''.

        Raises:
            app.errors.Unavailable: the scanner does not answer; the content was not looked at.
            app.errors.Invalid: there is more of it than the scanner looks at.
        """

    def ping(self) -> None:
        """Return quietly when the scanner answers.

        Raises:
            app.errors.Unavailable: it does not.
        """
