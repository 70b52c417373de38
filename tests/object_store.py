"""A server process that speaks S3's protocol (moto's), for the tests of the object store."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from app.localstack.ports import Ports
from app.localstack.process import wait_until

BUCKET = "files"
ACCESS = {"access_key": "tests", "secret_key": "tests", "region": "us-east-1"}
READY_WITHIN_S = 30.0


@contextmanager
def object_store(folder: Path) -> Iterator[str]:
    """Run it with one empty bucket and yield its address."""
    claims = Ports()
    port = claims.choose()
    url = f"http://127.0.0.1:{port}"
    with (folder / "object-store.log").open("wb") as log:
        server = subprocess.Popen(
            [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
            stdout=log,
            stderr=log,
        )
        try:
            _wait(server, url)
            requests.put(f"{url}/{BUCKET}", timeout=5).raise_for_status()
            yield url
        finally:
            server.terminate()
            server.wait(10)
            claims.release()


def _wait(server: "subprocess.Popen[bytes]", url: str) -> None:
    def answers() -> bool:
        assert server.poll() is None, "the object store ended"
        try:
            return requests.get(f"{url}/moto-api/", timeout=1).ok
        except requests.ConnectionError:
            return False

    assert wait_until(answers, READY_WITHIN_S), "the object store did not start"
