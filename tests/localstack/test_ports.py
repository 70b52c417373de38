"""Ports are free, and nobody else's."""

import socket
import subprocess
import sys
from pathlib import Path

import pytest

from app.localstack.ports import FREE_RANGE, NoFreePort, Ports, is_free


def listening() -> socket.socket:
    server = socket.socket()
    server.bind(("127.0.0.1", 0))
    server.listen()
    return server


def test_a_preferred_port_that_is_free_is_taken(tmp_path: Path) -> None:
    """Links in old mails go on working as long as the port can be had."""
    free = Ports(tmp_path).choose()

    assert Ports(tmp_path / "other").choose(free) == free


def test_a_taken_port_is_replaced(tmp_path: Path) -> None:
    """What already runs on the machine is left alone."""
    with listening() as server:
        taken = server.getsockname()[1]

        assert not is_free(taken)
        assert Ports(tmp_path).choose(taken) != taken


def test_two_stacks_never_choose_the_same_port(tmp_path: Path) -> None:
    """A claim holds before anything listens, across objects."""
    first, second = Ports(tmp_path), Ports(tmp_path)
    port = first.choose()

    assert second.choose(port) != port
    first.release()
    assert second.choose(port) == port


def test_a_claim_holds_across_processes(tmp_path: Path) -> None:
    """Parallel test workers are processes."""
    mine = Ports(tmp_path)
    port = mine.choose()
    code = (
        "from pathlib import Path; from app.localstack.ports import Ports; "
        f"print(Ports(Path({str(tmp_path)!r})).choose({port}))"
    )

    other = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert int(other.stdout) != port


def test_a_wish_that_is_no_port_is_passed_over(tmp_path: Path) -> None:
    """`--port 0` or `--port 70000` does not crash."""
    assert Ports(tmp_path).choose(0, 70_000) in FREE_RANGE


def test_no_free_port_is_a_clear_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """When all is taken, that is what is said."""
    monkeypatch.setattr("app.localstack.ports.FREE_RANGE", range(0))

    with pytest.raises(NoFreePort, match="no free TCP port"):
        Ports(tmp_path).choose(None)
