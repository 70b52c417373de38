"""A running stack with a hospital in it, and people with links and tokens."""

from __future__ import annotations

import json
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from app.localstack.prosody import ProsodyOptions
from app.localstack.supervisor import BACKING, SERVICES, LocalStack
from tests.stack_client import StackClient, sign_in

WHOLE = frozenset({*BACKING, *SERVICES}) - {"coturn"}
# Both may enter without waiting for anybody, so that the order of arrival does not matter.
HOSTS = ("doctor", "nurse")
SEEDED_AT_ONCE = 4


@dataclass(frozen=True, slots=True)
class Scale:
    """How much is measured; `--quick` only shows that it runs."""

    links: int = 200
    rounds: int = 24
    round_s: float = 0.7
    single_requests: int = 1000
    kicks: int = 60
    client_kicks: int = 60
    webhook_joins: int = 500
    joining: int = 200
    join_rounds: int = 10
    sessions: int = 1000
    listeners: int = 1000
    stream_rounds: int = 4
    stream_events: int = 8
    stored_sessions: int = 1_000_000
    scale_rounds: int = 60
    xray_frames: int = 127
    file_rounds: int = 9


QUICK = Scale(
    links=10,
    rounds=2,
    round_s=0.3,
    single_requests=20,
    kicks=3,
    client_kicks=2,
    webhook_joins=10,
    joining=8,
    join_rounds=1,
    sessions=4,
    listeners=20,
    stream_rounds=1,
    stream_events=2,
    stored_sessions=2000,
    scale_rounds=2,
    xray_frames=2,
    file_rounds=2,
)


@dataclass(frozen=True, slots=True)
class Seat:
    """An invited person: the code of their link and the room it leads to."""

    participant_id: str
    session_id: str
    room: str
    code: str


@dataclass(frozen=True, slots=True)
class Lab:
    """A stack and the demo hospital's program."""

    stack: LocalStack
    hospital: StackClient

    def session(self, roles: Sequence[str] = HOSTS, **body: Any) -> list[Seat]:
        """Create a session and invite people in these roles."""
        session = self.hospital.session(**body)
        return [self.invite(session, role) for role in roles]

    def invite(self, session: Mapping[str, Any], role: str) -> Seat:
        """Invite one person."""
        row = self.hospital.invite(dict(session), role)
        code = row["link"].rsplit("/", 1)[1]
        return Seat(row["id"], session["id"], session["room_name"], code)

    def sessions(self, count: int) -> list[Seat]:
        """Create sessions of two hosts each; return the people, room after room."""
        with ThreadPoolExecutor(SEEDED_AT_ONCE) as pool:
            made = []
            for number, seats in enumerate(pool.map(lambda _: self.session(), range(count)), 1):
                made.extend(seats)
                progress(f"{number} of {count} sessions created")
        return made

    def tokens(self, seats: Sequence[Seat]) -> list[str]:
        """Exchange everybody's link."""
        with ThreadPoolExecutor(SEEDED_AT_ONCE) as pool:
            return list(pool.map(self.token, seats))

    def token(self, seat: Seat) -> str:
        """Exchange one link."""
        return str(self.hospital.make(f"/j/{seat.code}/token", {})["jwt"])


@contextmanager
def running(
    *,
    parts: frozenset[str] = WHOLE,
    env: Mapping[str, str] | None = None,
    prosody: ProsodyOptions | None = None,
) -> Iterator[Lab]:
    """Start a stack in a folder of its own and sign the demo hospital in; stop it afterwards."""
    progress("starting a stack")
    with tempfile.TemporaryDirectory(prefix="teleconsult-bench-") as folder:
        long_token = {"API_TOKEN_TTL_S": "7200"}
        stack = LocalStack(
            Path(folder), parts=parts, durable=False, env={**long_token, **(env or {})},
            prosody=prosody,
        )  # fmt: skip
        with stack:
            demo = json.loads(stack.run("demo", "--json").splitlines()[-1])
            yield Lab(stack, sign_in(stack, demo["client_id"], demo["client_secret"]))


def progress(text: str) -> None:
    """Show what goes on, where somebody watches."""
    if sys.stderr.isatty():
        sys.stderr.write(f"\r\033[K  {text}")
        sys.stderr.flush()
