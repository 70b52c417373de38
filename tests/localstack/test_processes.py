"""Nothing outlives its supervisor, and root is left behind where it must be."""

import os
import signal
import subprocess
import sys
import threading
from pathlib import Path

import psycopg2
import pytest

from app.localstack import LocalStack
from app.localstack.credentials import Secrets
from app.localstack.identity import Identity, system_user, unprivileged
from app.localstack.ports import Ports
from app.localstack.postgres import Postgres
from app.localstack.process import wait_until
from tests.localstack.conftest import PLAIN_PROSODY

SUPERVISOR = """
import sys, time
from pathlib import Path
from app.localstack import BACKING, LocalStack
from app.localstack.prosody import ProsodyOptions
plain = ProsodyOptions(with_our_modules=False)
stack = LocalStack(Path(sys.argv[1]), durable=False, prosody=plain).start()
print(*(stack.part(name).pid for name in BACKING), flush=True)
time.sleep(60)
"""
namespaces = pytest.mark.skipif(
    not unprivileged().prefix or unprivileged().owner is not None,
    reason="user namespaces are refused here, or we are not root",
)
as_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can become somebody else")


def still_running(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except OSError:
        return False


def test_kill_9_of_the_supervisor_leaves_no_orphans(folder: Path) -> None:
    """All parts end with their supervisor, and the next start finds the data usable."""
    with subprocess.Popen(
        [sys.executable, "-c", SUPERVISOR, str(folder)], stdout=subprocess.PIPE
    ) as supervisor:
        assert supervisor.stdout
        pids = [int(word) for word in supervisor.stdout.readline().split()]
        running = [still_running(pid) for pid in pids]
        supervisor.kill()

    with LocalStack(folder, durable=False, prosody=PLAIN_PROSODY) as again:
        gone = [pid for pid in pids if not still_running(pid)]
        assert again.postgres.is_ready()

    assert len(running) == 8
    assert all(running)
    assert gone == pids


def test_a_part_started_in_a_thread_outlives_the_thread(folder: Path) -> None:
    """The kernel ties a child to the thread that forked it; tests restart parts in threads."""
    with LocalStack(folder, parts=["redis"], durable=False) as stack:
        restart = threading.Thread(target=stack.redis.restart)
        restart.start()
        restart.join()

        assert not wait_until(lambda: not stack.redis.is_alive, 0.3)
        assert stack.redis.is_ready()


def test_a_frozen_part_goes_on_or_is_stopped(folder: Path) -> None:
    """SIGSTOP is how tests imitate a hanging server."""
    with LocalStack(folder, parts=["redis"], durable=False) as stack:
        stack.redis.suspend()
        frozen = stack.redis.is_ready()
        stack.redis.resume()

        assert not frozen
        assert wait_until(stack.redis.is_ready, 5)
        stack.redis.suspend()

    assert stack.redis.exit_code == 0


def test_the_environment_of_the_caller_does_not_leak(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A PGHOST or DATABASE_URL of the shell must not reach a part."""
    monkeypatch.setenv("DATABASE_URL", "postgresql://somewhere/else")
    with LocalStack(folder, parts=["redis"], durable=False) as stack:
        seen = Path(f"/proc/{stack.redis.pid}/environ").read_bytes()

    assert b"DATABASE_URL" not in seen


@namespaces
def test_postgres_runs_without_root_in_a_private_folder(folder: Path) -> None:
    """As root it runs in a user namespace: the folder may be closed to everybody else."""
    folder.mkdir(mode=0o700)
    with LocalStack(folder, parts=["postgres"], durable=False) as stack:
        namespace = Path(f"/proc/{stack.postgres.pid}/ns/user").readlink()

    assert namespace != Path("/proc/self/ns/user").readlink()


def started_as(identity: Identity, folder: Path) -> Postgres:
    folder.mkdir(parents=True)
    return Postgres(
        folder / "postgres",
        port=Ports().choose(),
        secrets=Secrets.of(folder),
        durable=False,
        identity=identity,
    )


@as_root
def test_postgres_runs_as_the_system_user_where_namespaces_are_refused(folder: Path) -> None:
    """Docker's default seccomp refuses namespaces; the data then lies where that user may go."""
    postgres = started_as(system_user(), folder)
    try:
        postgres.start()
        owner = Path(f"/proc/{postgres.pid}").stat().st_uid
        psycopg2.connect(postgres.runtime_url).close()
    finally:
        postgres.stop()
        postgres.remove()

    assert owner == system_user().owner.pw_uid  # type: ignore[union-attr]
    assert not postgres.home.exists()


def test_a_half_made_cluster_is_made_anew(folder: Path) -> None:
    """A first start that was killed does not spoil the second."""
    (folder / "postgres" / "data").mkdir(parents=True)
    (folder / "postgres" / "data" / "PG_VERSION").write_text("15\n")

    with LocalStack(folder, parts=["postgres"], durable=False) as stack:
        assert stack.postgres.is_ready()


def test_a_pid_file_of_a_former_life_does_not_block(folder: Path) -> None:
    """After a reboot the noted process id may belong to somebody else."""
    stack = LocalStack(folder, parts=["postgres"], durable=False)
    with stack:
        lines = (stack.postgres.data / "postmaster.pid").read_text().splitlines()
        stack.postgres.kill()
    (stack.postgres.data / "postmaster.pid").write_text(
        "\n".join([str(os.getppid()), *lines[1:], ""])
    )

    with stack:
        assert stack.postgres.is_ready()


def test_stop_asks_before_it_kills(folder: Path) -> None:
    """Every part ends by its own signal, so that nothing has to be recovered at the next start."""
    stack = LocalStack(folder, durable=False, prosody=PLAIN_PROSODY)
    with stack:
        pass

    codes = {name: stack.part(name).exit_code for name in stack.wanted}

    assert set(codes.values()) <= {0, -signal.SIGTERM}


def test_a_very_long_data_folder_works(tmp_path: Path) -> None:
    """A Unix socket's path is limited; a data folder's is not."""
    deep = tmp_path / ("x" * 100)

    with LocalStack(deep, parts=["postgres"], durable=False) as stack:
        assert stack.postgres.is_ready()
        assert deep not in stack.postgres.socket_dir.parents

    assert not stack.postgres.socket_dir.exists()
