"""A server process that speaks S3's protocol (moto's), for the tests of the object store."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import requests

from app.localstack.ports import Ports

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
    deadline = time.monotonic() + READY_WITHIN_S
    while server.poll() is None and time.monotonic() < deadline:
        try:
            requests.get(f"{url}/moto-api/", timeout=1)
        except requests.ConnectionError:
            time.sleep(0.05)
        else:
            return
    raise AssertionError("the object store did not start")
