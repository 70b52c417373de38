"""PostgreSQL from Debian's binaries, with its own data folder and the roles we expect."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from urllib.parse import quote

import psycopg2
from psycopg2 import extensions, sql

from app.localstack.credentials import Secrets, write_private
from app.localstack.identity import Identity, unprivileged
from app.localstack.process import PLAIN_ENVIRONMENT, Launch, Part, PartFailed

DEBIAN = Path("/usr/lib/postgresql")
OLDEST_MAJOR = 15
DATABASE = "teleconsult"
OWNER, RUNTIME, AUDIT = "teleconsult_owner", "role_telehealth", "role_audit"

LONGEST_SOCKET_PATH_BYTES = 107  # of a Unix domain socket on Linux

# For tests only: safe against a killed process (the kernel has the pages), not against a killed
# machine.
NOT_DURABLE = ("-c", "fsync=off", "-c", "full_page_writes=off")


class Postgres(Part):
    """The database server. TCP on loopback and a Unix socket, passwords for everybody."""

    name = "postgres"
    stop_signal = signal.SIGINT  # "fast" shutdown: ends sessions, writes a checkpoint
    ready_within_s = 30.0

    def __init__(
        self,
        folder: Path,
        *,
        port: int,
        secrets: Secrets,
        durable: bool = True,
        identity: Identity | None = None,
    ) -> None:
        super().__init__(folder)
        self.port = port
        self._secrets = secrets
        self._durable = durable
        self._identity = identity or unprivileged()
        self.home = self._identity.reachable(folder)
        self.data = self.home / "data"
        self._made = self.home / "made"
        self.socket_dir = _socket_dir(self.home, port)

    @property
    def admin_url(self) -> str:
        """URL of the superuser, for tests that make databases of their own."""
        return self.url("postgres", self._secrets.postgres, "postgres")

    @property
    def owner_url(self) -> str:
        """URL of the role that owns the tables and runs migrations."""
        return self.url(OWNER, self._secrets.owner)

    @property
    def runtime_url(self) -> str:
        """URL of the role the service runs as, over the socket: on loopback a short statement
        costs both sides a quarter more (77 µs of CPU instead of 58)."""
        where = f"host={quote(str(self.socket_dir))}&port={self.port}"
        return f"postgresql://{quote(RUNTIME)}:{quote(self._secrets.runtime)}@/{DATABASE}?{where}"

    @property
    def audit_url(self) -> str:
        """URL of the role that may only read."""
        return self.url(AUDIT, self._secrets.audit)

    def url(self, role: str, password: str, database: str = DATABASE) -> str:
        """Return a libpq URL over TCP."""
        return f"postgresql://{quote(role)}:{quote(password)}@127.0.0.1:{self.port}/{database}"

    def prepare(self) -> None:
        """Make the cluster when there is none, or only half of one."""
        self.home.mkdir(parents=True, exist_ok=True)
        self.socket_dir.mkdir(mode=0o700, exist_ok=True)
        self._identity.own(self.home, self.socket_dir)
        if not self._made.exists():
            shutil.rmtree(self.data, ignore_errors=True)
            self._initdb()

    def forget_former_run(self) -> None:
        """Drop the pid file of a run that ended with its machine or container.

        After a reboot its process id may be somebody else's, and PostgreSQL would wait for that
        process for ever. Only safe while the supervisor knows (by its lock) that no server of this
        folder is left.
        """
        (self.data / "postmaster.pid").unlink(missing_ok=True)

    def launch(self) -> Launch:
        """Return the command line of the server."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": str(self.socket_dir),
            "max_connections": "200",
            "shared_buffers": "64MB",
            "timezone": "UTC",
            "log_timezone": "UTC",
            "log_line_prefix": "%m [%p] %q%u@%d ",
        }
        words = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
        durability = () if self._durable else NOT_DURABLE
        argv = [str(find_program("postgres")), "-D", str(self.data), *words, *durability]
        return Launch(argv, prefix=self._identity.prefix, env={"LC_ALL": "C.UTF-8"})

    def is_ready(self) -> bool:
        """Tell whether the server lets the superuser in."""
        try:
            psycopg2.connect(self.admin_url, connect_timeout=2).close()
        except psycopg2.OperationalError:
            return False
        return True

    def finish(self) -> None:
        """Make roles and database, once per cluster."""
        if not self._made.exists():
            self._make_roles_and_database()
            self._made.touch()

    def wait_ready(self) -> None:
        """Wait; try again where backends of a crashed server still hold the shared memory."""
        try:
            super().wait_ready()
        except PartFailed as failure:
            if not any("shared memory block" in line for line in failure.log_lines[-5:]):
                raise
            self.begin()
            super().wait_ready()

    def stop(self) -> None:
        """Stop the server and remove the socket's folder, which may lie outside the data folder."""
        super().stop()
        shutil.rmtree(self.socket_dir, ignore_errors=True)

    def remove(self) -> None:
        """Delete the cluster, wherever it lies."""
        shutil.rmtree(self.home, ignore_errors=True)

    def _initdb(self) -> None:
        password_file = self.home / "initdb-password"
        write_private(password_file, self._secrets.postgres)
        self._identity.own(password_file)
        options = ["--username=postgres", "--auth=scram-sha-256", f"--pwfile={password_file}"]
        options += ["--encoding=UTF8", "--locale=C.UTF-8"] + (
            [] if self._durable else ["--no-sync"]
        )
        argv = [*self._identity.prefix, str(find_program("initdb")), "-D", str(self.data), *options]
        with self.log.open("ab") as log:
            done = subprocess.run(
                argv,
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                cwd="/",
                env=PLAIN_ENVIRONMENT,
                check=False,
            )
        password_file.unlink()
        if done.returncode:
            raise PartFailed(
                self.name, f"initdb ended with exit status {done.returncode}", self.log
            )

    def _make_roles_and_database(self) -> None:
        roles = {
            OWNER: self._secrets.owner,
            RUNTIME: self._secrets.runtime,
            AUDIT: self._secrets.audit,
        }
        with self.as_admin("postgres") as cursor:
            _execute(cursor, "DROP DATABASE IF EXISTS {database}")
            for role, password in roles.items():
                _execute(cursor, "DROP ROLE IF EXISTS {role}", role)
                _execute(cursor, "CREATE ROLE {role} LOGIN PASSWORD %s", role, [password])
            _execute(cursor, "CREATE DATABASE {database} OWNER {role}", OWNER)
            _execute(cursor, "REVOKE ALL ON DATABASE {database} FROM PUBLIC")
            for role in (RUNTIME, AUDIT):
                _execute(cursor, "GRANT CONNECT ON DATABASE {database} TO {role}", role)
            # Whatever a migration forgets, this role cannot write.
            _execute(cursor, "ALTER ROLE {role} SET default_transaction_read_only = on", AUDIT)

    @contextmanager
    def as_admin(self, database: str = DATABASE) -> Iterator[extensions.cursor]:
        """Yield a cursor of the superuser in autocommit mode."""
        url = self.url("postgres", self._secrets.postgres, database)
        with closing(_autocommit(url)) as db, db.cursor() as cursor:
            yield cursor


def find_program(name: str) -> Path:
    """Return Debian's newest PostgreSQL program of this name, else the one on PATH.

    Raises:
        PartFailed: there is none, or Debian's is older than we support.
    """
    folders = [folder for folder in DEBIAN.glob("*/bin") if folder.parent.name.isdecimal()]
    for folder in sorted(folders, key=lambda found: int(found.parent.name), reverse=True):
        if int(folder.parent.name) >= OLDEST_MAJOR and (folder / name).exists():
            return folder / name
    on_path = shutil.which(name)
    if on_path is None:
        raise PartFailed(
            "postgres",
            f"no PostgreSQL {OLDEST_MAJOR} or newer found ({name}); run script/bootstrap",
        )
    return Path(on_path)


def _socket_dir(home: Path, port: int) -> Path:
    """Return a folder for the socket: in the data folder if the path is short enough for one."""
    inside = home / "socket"
    if len(str(inside / f".s.PGSQL.{port}.lock").encode()) <= LONGEST_SOCKET_PATH_BYTES:
        return inside
    return Path(tempfile.gettempdir()) / f"teleconsult-pg-{os.getuid()}-{port}"


def _autocommit(url: str) -> extensions.connection:
    db = psycopg2.connect(url)
    db.autocommit = True
    return db


def _execute(
    cursor: extensions.cursor, statement: str, role: str = OWNER, values: Sequence[str] = ()
) -> None:
    names = {"role": sql.Identifier(role), "database": sql.Identifier(DATABASE)}
    cursor.execute(sql.SQL(statement).format(**names), list(values))
