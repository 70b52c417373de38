"""The stack starts, stops, keeps its data, and says what went wrong."""

import socket
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import psycopg2
import psycopg2.errors
import pytest
import redis

from app.localstack import BACKING, AlreadyRunning, LocalStack, PartFailed
from app.localstack.process import wait_until
from tests.localstack.conftest import PLAIN_PROSODY

STORES = ("postgres", "redis")


def write(stack: LocalStack) -> None:
    with psycopg2.connect(stack.postgres.owner_url) as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE kept (word text)")
        cursor.execute("INSERT INTO kept VALUES ('row')")
    db.close()
    redis.from_url(stack.redis.url).set("kept", "value")


def read(stack: LocalStack) -> tuple[str, bytes]:
    with psycopg2.connect(stack.postgres.owner_url) as db, db.cursor() as cursor:
        cursor.execute("SELECT word FROM kept")
        row = cursor.fetchone()
    db.close()
    return (row or ("",))[0], redis.from_url(stack.redis.url).get("kept")  # type: ignore[return-value]


def test_all_backing_parts_are_up_within_three_seconds(folder: Path) -> None:
    """Fixtures start a stack for each test worker. (The limit is for a busy machine.)"""
    began = time.monotonic()

    with LocalStack(folder, durable=False, prosody=PLAIN_PROSODY) as stack:
        took = time.monotonic() - began
        alive = {name: stack.part(name).is_alive for name in BACKING}

    assert all(alive.values())
    assert took < 10
    assert not any(stack.part(name).is_alive for name in BACKING)


def test_a_second_start_keeps_the_data_and_the_ports(folder: Path) -> None:
    """Ctrl-C and a new start lose nothing."""
    with LocalStack(folder, parts=STORES, durable=False) as stack:
        ports = stack.ports
        write(stack)
    del stack

    with LocalStack(folder, parts=STORES, durable=False) as again:
        assert read(again) == ("row", b"value")
        assert again.ports == ports


def test_reset_empties(folder: Path) -> None:
    """`--reset` means a new, empty database under the same roles."""
    stack = LocalStack(folder, parts=STORES, durable=False)
    with stack:
        write(stack)

    stack.reset()

    with stack, pytest.raises(psycopg2.errors.UndefinedTable):
        read(stack)


@pytest.mark.parametrize("name", STORES)
def test_what_was_accepted_survives_kill_9(stack: LocalStack, name: str) -> None:
    """A crash of a store loses no answered write, and the store comes back on its port."""
    pid = stack.part(name).pid
    with psycopg2.connect(stack.postgres.owner_url) as db, db.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS counted (n int)")
        cursor.execute("INSERT INTO counted VALUES (1)")
    db.close()
    redis.from_url(stack.redis.url).incr("counted")

    stack.part(name).kill()
    stack.part(name).restart()

    assert stack.part(name).pid != pid
    with psycopg2.connect(stack.postgres.owner_url) as db, db.cursor() as cursor:
        cursor.execute("SELECT count(*) FROM counted")
        rows = cursor.fetchone()
    db.close()
    assert rows == (int(redis.from_url(stack.redis.url).get("counted")),)  # type: ignore[arg-type]


def test_the_runtime_role_may_connect_and_nothing_else(stack: LocalStack) -> None:
    """Rights come from migrations only."""
    db = psycopg2.connect(stack.postgres.runtime_url)
    with db, db.cursor() as cursor, pytest.raises(psycopg2.errors.InsufficientPrivilege):
        cursor.execute("CREATE TABLE mine (n int)")
    db.close()


def test_the_service_connects_over_the_socket_which_is_nobody_elses(stack: LocalStack) -> None:
    """That saves a quarter of a short statement; the password is asked for there, too."""
    db = psycopg2.connect(stack.postgres.runtime_url)
    with db, db.cursor() as cursor:
        cursor.execute("SELECT inet_server_addr() IS NULL")
        assert cursor.fetchone() == (True,)
    db.close()

    assert stack.postgres.socket_dir.stat().st_mode & 0o077 == 0
    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(stack.postgres.runtime_url, password="wrong")


def test_a_wrong_password_is_refused(stack: LocalStack) -> None:
    """Other users of the machine can reach the ports, but get no further."""
    url = stack.postgres.url("role_telehealth", "wrong")

    with pytest.raises(psycopg2.OperationalError, match="password authentication failed"):
        psycopg2.connect(url)
    with pytest.raises(redis.AuthenticationError):
        redis.Redis(port=stack.redis.port).ping()


def test_secrets_are_readable_by_their_owner_only(stack: LocalStack) -> None:
    """Each file with a secret in it has mode 0600."""
    private = (
        "secrets.json",
        "redis/redis.conf",
        "prosody/prosody.cfg.lua",
        "focus/focus.json",
        "coturn/turnserver.conf",
    )

    modes = {name: (stack.data_dir / name).stat().st_mode & 0o777 for name in private}

    assert set(modes.values()) == {0o600}


def test_a_failing_part_is_named_with_the_end_of_its_log(folder: Path) -> None:
    """The message is enough to know what is wrong, and nothing is left running."""
    stack = LocalStack(folder, parts=STORES, durable=False)
    with socket.socket() as thief:
        thief.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        thief.bind(("127.0.0.1", stack.ports["redis"]))
        thief.listen()

        with pytest.raises(PartFailed) as failure:
            stack.start()

    assert failure.value.part == "redis"
    assert "ended by itself with exit status 1" in str(failure.value)
    assert "Address already in use" in str(failure.value)
    assert not any(stack.part(name).is_alive for name in STORES)


def test_a_part_that_never_gets_ready_fails_in_time(folder: Path) -> None:
    """A hanging part is reported, not waited for for ever."""
    stack = LocalStack(folder, parts=["redis"], durable=False)
    with stack:
        stack.redis.ready_within_s = 0.3
        stack.redis.suspend()
        with pytest.raises(PartFailed, match=r"not ready within 0\.3 s"):
            stack.redis.wait_ready()


def test_a_part_that_ends_is_noticed_and_not_restarted(folder: Path) -> None:
    """Nothing is restarted silently."""
    with LocalStack(folder, parts=["redis"], durable=False) as stack:
        stack.check()
        stack.redis.kill()

        with pytest.raises(PartFailed, match="redis: was ended by SIGKILL"):
            stack.check()


def test_two_stacks_on_one_folder_are_refused(folder: Path) -> None:
    """Two servers on the same files would destroy them."""
    with LocalStack(folder, parts=["redis"], durable=False) as running:
        with pytest.raises(AlreadyRunning, match="already runs on"):
            LocalStack(folder, parts=["redis"], durable=False).start()

        assert running.redis.is_alive


def test_an_unknown_part_is_refused(folder: Path) -> None:
    """A misspelt name is told at once."""
    with pytest.raises(ValueError, match="unknown parts: postgress"):
        LocalStack(folder, parts=["postgress"])


def test_ctrl_c_while_starting_leaves_nothing(folder: Path) -> None:
    """An interrupted start stops what it began."""

    def interrupt(line: str) -> None:
        if line == "redis is ready":
            raise KeyboardInterrupt

    stack = LocalStack(folder, durable=False, prosody=PLAIN_PROSODY, report=interrupt)

    with pytest.raises(KeyboardInterrupt):
        stack.start()

    assert not any(stack.part(name).is_alive for name in BACKING)


def open_files(pid: int | None) -> Iterator[str]:
    """Yield what a process has open; a connection may end meanwhile."""
    for link in Path(f"/proc/{pid}/fd").iterdir():
        with suppress(FileNotFoundError):
            yield str(link.readlink())


def test_children_hold_no_files_of_the_caller(stack: LocalStack) -> None:
    """Only the lock is inherited, so a socket or file of a test never lives on in a server."""
    with socket.socket() as mine:
        stack.redis.restart()
        inherited = set(open_files(stack.redis.pid))
        name = str(Path(f"/proc/self/fd/{mine.fileno()}").readlink())

    assert name not in inherited
    assert str(stack.data_dir / "lock.children") in inherited
    assert wait_until(stack.redis.is_ready, 5)
