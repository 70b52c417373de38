"""Start the parts of a stack in order, tell which failed and why, stop what was started."""

from __future__ import annotations

import contextlib
import json
import shutil
from collections.abc import Callable, Collection, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self, TypeVar

from app.localstack import names
from app.localstack.clamd import Clamd
from app.localstack.coturn import Coturn
from app.localstack.credentials import Secrets
from app.localstack.environment import Addresses, service_environment
from app.localstack.lock import AlreadyRunning, FolderLock
from app.localstack.ports import Ports
from app.localstack.postgres import Postgres
from app.localstack.process import Part
from app.localstack.prosody import Prosody, ProsodyOptions, ProsodyPorts
from app.localstack.redis import Redis
from app.localstack.services import Api, Service, Stream, run_command
from app.localstack.standins import FINALIZE_SCRIPT, Focus, Mail, OidcProvider, Recorder

__all__ = ["BACKING", "DEMONSTRATION", "SERVICES", "AlreadyRunning", "LocalStack"]

# In the order they begin: PostgreSQL last, because the others start up while it makes its cluster.
BACKING = ("prosody", "focus", "recorder", "redis", "coturn", "mail", "clamd", "postgres")
# For a person who tries it; the tests start one of their own where they need it.
DEMONSTRATION = ("oidc",)
SERVICES = ("api", "stream", "relay", "gateway", "worker")
PORT_NAMES = (
    "api",
    "stream",
    "prosody_http",
    "prosody_component",
    "postgres",
    "redis",
    "coturn",
    "mail",
    "oidc",
    "clamd",
)
PORTS_FILE = "ports.json"
# Kept when a folder is emptied: the lock is held through these very files.
NOT_EMPTIED = {"lock", "lock.children"}

Kind = TypeVar("Kind", bound=Part)
Report = Callable[[str], None]


class LocalStack:
    """All servers of one Teleconsult under one data folder.

    Everything is known before `start`: ports, URLs and the environment of the service's own
    processes.

    Args:
        data_dir: made when it does not exist; keeps data, secrets, logs and ports for the next
            start.
        parts: names from `BACKING`, `DEMONSTRATION` and `SERVICES`. Services need the backing parts
            they use.
        prefer: ports to try first, by name (`PORT_NAMES`); a taken one is replaced by a free one.
        durable: False trades safety against power loss for speed, for tests.
        env: settings that differ from `service_environment`.
        finalize: what the recorder runs on each recording's folder.
        report: called with one line per step.
    """

    def __init__(
        self,
        data_dir: Path,
        *,
        parts: Collection[str] = BACKING,
        prefer: Mapping[str, int] | None = None,
        durable: bool = True,
        env: Mapping[str, str] | None = None,
        prosody: ProsodyOptions | None = None,
        finalize: Path = FINALIZE_SCRIPT,
        report: Report = lambda line: None,
    ) -> None:
        every = (*BACKING, *DEMONSTRATION, *SERVICES)
        unknown = set(parts) - set(every)
        if unknown:
            raise ValueError(f"unknown parts: {', '.join(sorted(unknown))}")
        self.data_dir = data_dir.resolve()
        self.data_dir.mkdir(parents=True, exist_ok=True, mode=0o711)
        self._report = report
        self._lock = FolderLock(self.data_dir)
        self._claims = Ports()
        self.secrets = Secrets.of(self.data_dir)
        self.ports = self._choose_ports(prefer or {})
        self._parts = self._make_parts(prosody, durable=durable, finalize=finalize)
        self.environment = {**service_environment(self._addresses(), self.secrets), **(env or {})}
        for name in SERVICES:
            make = {"api": Api, "stream": Stream}.get(name, Service)
            self._parts[name] = make(name, self.data_dir / name, self.environment)
        self.wanted = [name for name in every if name in parts]
        self._started: list[Part] = []

    # --- the parts by name and type

    def part(self, name: str) -> Part:
        """Return one part, to kill, suspend, restart or look at."""
        return self._parts[name]

    @property
    def postgres(self) -> Postgres:
        """The database server."""
        return _typed(self._parts["postgres"], Postgres)

    @property
    def redis(self) -> Redis:
        """The Redis server."""
        return _typed(self._parts["redis"], Redis)

    @property
    def mail(self) -> Mail:
        """The mail server and its inbox."""
        return _typed(self._parts["mail"], Mail)

    @property
    def oidc(self) -> OidcProvider:
        """The demo hospital's identity provider."""
        return _typed(self._parts["oidc"], OidcProvider)

    @property
    def prosody(self) -> Prosody:
        """The XMPP server."""
        return _typed(self._parts["prosody"], Prosody)

    @property
    def public_url(self) -> str:
        """Base of the links; only browsers resolve its name."""
        return self.environment["PUBLIC_URL"]

    @property
    def api_url(self) -> str:
        """Base of the API for programs on this machine."""
        return f"http://127.0.0.1:{self.ports['api']}"

    @property
    def stream_url(self) -> str:
        """Base of the streams for programs on this machine."""
        return f"http://127.0.0.1:{self.ports['stream']}"

    @property
    def recorder(self) -> Recorder:
        """The recorder and what it recorded."""
        return _typed(self._parts["recorder"], Recorder)

    # --- life

    def start(self) -> Self:
        """Start all wanted parts.

        Raises:
            AlreadyRunning: another process runs this data folder.
            PartFailed: one part did not start; the others are stopped again.
        """
        self._lock.acquire()
        try:
            if "postgres" in self.wanted:
                self.postgres.forget_former_run()
            self._start_layer([name for name in self.wanted if name not in SERVICES])
            services = [name for name in self.wanted if name in SERVICES]
            if services:
                self.migrate()
                self._start_layer(services)
        except BaseException:
            self.stop()
            raise
        return self

    def migrate(self) -> None:
        """Bring the database's schema up to date."""
        self._report("applying migrations")
        self.run("migrate")

    def run(self, *words: str) -> str:
        """Run one `teleconsult` command with this stack's settings and return its output."""
        return run_command(self.environment, self.data_dir / "commands", *words)

    def check(self) -> None:
        """Raise PartFailed when a started part has ended. Nothing is restarted silently."""
        for part in self._started:
            part.check()

    def stop(self) -> None:
        """Stop what `start` started, in reverse order. The ports stay claimed for a next start."""
        while self._started:
            part = self._started.pop()
            self._report(f"stopping {part.name}")
            part.stop()
        self._lock.release()

    def reset(self) -> None:
        """Delete all data of a stack that does not run; secrets and ports stay.

        Raises:
            AlreadyRunning: another process runs this data folder.
        """
        self._lock.acquire()
        try:
            self.postgres.remove()
            for path in self.data_dir.iterdir():
                if path.name not in {*NOT_EMPTIED, PORTS_FILE, "secrets.json"}:
                    shutil.rmtree(path) if path.is_dir() else path.unlink()
        finally:
            self._lock.release()

    def __enter__(self) -> Self:
        """Start."""
        return self.start()

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop, whatever happened."""
        self.stop()

    def _start_layer(self, layer: Collection[str]) -> None:
        for name in layer:
            part = self._parts[name]
            part.keep_open = [self._lock.children] if self._lock.children is not None else []
            self._started.append(part)
            part.begin()
        for name in layer:
            self._parts[name].wait_ready()
            self._report(f"{name} is ready")

    # --- construction

    def _choose_ports(self, prefer: Mapping[str, int]) -> dict[str, int]:
        """Choose all ports up front: Prosody must know the API's before either runs."""
        path = self.data_dir / PORTS_FILE
        former: dict[str, int] = {}
        with contextlib.suppress(OSError, ValueError):
            former = json.loads(path.read_text())
        chosen = {
            name: self._claims.choose(prefer.get(name), former.get(name)) for name in PORT_NAMES
        }
        path.write_text(json.dumps(chosen))
        return chosen

    def _make_parts(
        self, prosody: ProsodyOptions | None, *, durable: bool, finalize: Path
    ) -> dict[str, Part]:
        ports, secrets, folder = self.ports, self.secrets, self.data_dir
        component = ports["prosody_component"]
        prosody_ports = ProsodyPorts(
            http=ports["prosody_http"], component=component, api=ports["api"], turn=ports["coturn"]
        )
        parts: list[Part] = [
            Postgres(folder / "postgres", port=ports["postgres"], secrets=secrets, durable=durable),
            Redis(folder / "redis", port=ports["redis"], password=secrets.redis),
            Coturn(
                folder / "coturn", port=ports["coturn"], secret=secrets.turn, realm=names.DOMAIN
            ),
            Mail(folder / "mail", port=ports["mail"]),
            OidcProvider(folder / "oidc", port=ports["oidc"], people=names.STAFF),
            Clamd(folder / "clamd", port=ports["clamd"]),
            Prosody(folder / "prosody", ports=prosody_ports, secrets=secrets, settings=prosody),
            Focus(folder / "focus", component_port=component, secret=secrets.focus),
            Recorder(
                folder / "recorder",
                component_port=component,
                secret=secrets.recorder,
                finalize=finalize,
                hands_over_to=self.api_url,
                files_secret=secrets.recording_files,
            ),
        ]
        return {part.name: part for part in parts}

    def _addresses(self) -> Addresses:
        return Addresses(
            api_port=self.ports["api"],
            stream_port=self.ports["stream"],
            database_url=self.postgres.runtime_url,
            migration_database_url=self.postgres.owner_url,
            redis_url=self.redis.url,
            websocket_url=self.prosody.websocket_url,
            component_port=self.ports["prosody_component"],
            smtp_port=self.ports["mail"],
            turn_port=self.ports["coturn"],
            files=str(self.data_dir / "files"),
            clamd_port=self.ports["clamd"],
        )


def _typed(part: Part, kind: type[Kind]) -> Kind:
    if not isinstance(part, kind):
        raise TypeError(f"{part.name} is a {type(part).__name__}")
    return part
