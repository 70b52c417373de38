"""Files: what a gigabyte takes of every process, and downloads beside a plain static server."""

from __future__ import annotations

import http.client
import struct
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from app.localstack.ports import Ports, accepts
from app.localstack.process import Part, wait_until
from tests.api import samples
from tests.bench.figures import Figure, Goal
from tests.bench.lab import Lab, Scale, progress, running
from tests.bench.processes import MEGABYTE, tree

PARTS = frozenset({"postgres", "redis", "clamd", "api", "relay", "worker"})
TOLD = ("api", "worker", "relay")
SIDE = 2048
FRAME_BYTES = 2 * SIDE * SIDE
PIXELS = b"\xe0\x7f\x10\x00OW\x00\x00"
CHECKED_WITHIN_S = 600.0
PIECE_BYTES = 1024 * 1024
DOWNLOADED_FRAMES = 8
# Sends files as plainly as Python does: aiohttp hands them to the kernel (sendfile).
STATIC = """
import sys
from aiohttp import web
app = web.Application()
app.router.add_static("/", sys.argv[1])
web.run_app(app, host="127.0.0.1", port=int(sys.argv[2]), print=None)
"""


class LargeXray:
    """An X-ray of many frames that is nowhere as a whole; a file to read from."""

    def __init__(self, frames: int) -> None:
        plain = samples.dicom(SIDE, SIDE, 1, NumberOfFrames=frames)
        head = plain[: plain.index(PIXELS) + len(PIXELS)]
        self._head = head + struct.pack("<I", frames * FRAME_BYTES)
        self._left = frames * FRAME_BYTES
        self.size = len(self._head) + self._left

    def read(self, most: int) -> bytes:
        """Return the next bytes."""
        if self._head:
            taken, self._head = self._head, b""
            return taken
        length = min(most, self._left)
        self._left -= length
        return bytes(length)


def bench(scale: Scale) -> list[Figure]:
    """Return the memory of each process while a large X-ray goes in, and how fast one comes out."""
    with running(parts=PARTS, env={"API_WORKERS": "1"}) as lab:
        before = {name: _peak(lab.stack.part(name)) for name in TOLD}
        share(lab, LargeXray(scale.xray_frames))
        megabytes = scale.xray_frames * FRAME_BYTES / MEGABYTE
        figures = [
            Figure(f"{name} most RSS, {megabytes:.0f} MB in", "MB", _peak(lab.stack.part(name)))
            for name in TOLD
        ]
        figures += [
            Figure(f"{name} grew by", "MB", max(0.1, one.ours - before[name]), goal=Goal(100.0))
            for name, one in zip(TOLD, figures, strict=True)
        ]
        return [*figures, _downloads(lab, scale)]


def share(lab: Lab, content: LargeXray) -> str:
    """Share an X-ray, wait until it was checked, and return where it is."""
    files = f"/sessions/{lab.hospital.session()['id']}/files"
    body = {"kind": "xray", "name": "large", "size_bytes": content.size}
    announced = lab.hospital.make(files, body)
    progress("sending")
    _send(lab, urlsplit(announced["upload_url"]).path, content)
    progress("checking")
    path = f"{files}/{announced['id']}"

    def state() -> str:
        return str(lab.hospital.call("GET", path).json()["state"])

    assert wait_until(lambda: state() != "scanning", CHECKED_WITHIN_S), "not checked in time"
    assert state() == "available", state()
    return path


def _send(lab: Lab, path: str, content: Any) -> None:
    link = http.client.HTTPConnection("127.0.0.1", lab.stack.ports["api"], timeout=600)
    headers = {
        "Content-Type": "application/offset+octet-stream",
        "Content-Length": str(content.size),
        "Tus-Resumable": "1.0.0",
        "Upload-Offset": "0",
    }
    link.request("PATCH", path, body=content, headers=headers)
    answer = link.getresponse()
    assert answer.status == http.HTTPStatus.NO_CONTENT, answer.read()
    link.close()


def _downloads(lab: Lab, scale: Scale) -> Figure:
    """Fetch one file from us and from a plain server in turns."""
    path = share(lab, LargeXray(DOWNLOADED_FRAMES))
    ours, floors = [], []
    with static_server(LargeXray(DOWNLOADED_FRAMES)) as plain:
        for number in range(scale.file_rounds):
            progress(f"round {number + 1}")
            link = lab.hospital.make(f"{path}/links", {})
            ours.append(_rate(lab.stack.ports["api"], urlsplit(link["url"]).path))
            floors.append(_rate(plain, "/file"))
    return Figure(
        "download, one client",
        "MB/s",
        sorted(ours)[len(ours) // 2],
        sorted(floors)[len(floors) // 2],
        rounds=[one / other for one, other in zip(ours, floors, strict=True)],
    )


def _rate(port: int, path: str) -> float:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began, received = time.perf_counter(), 0
    link.request("GET", path)
    answer = link.getresponse()
    assert answer.status == http.HTTPStatus.OK
    while piece := answer.read(PIECE_BYTES):
        received += len(piece)
    link.close()
    return received / MEGABYTE / (time.perf_counter() - began)


@contextmanager
def static_server(content: LargeXray) -> Iterator[int]:
    """Serve the same bytes as a plain file, and yield the port."""
    claims = Ports()
    port = claims.choose()
    with tempfile.TemporaryDirectory(prefix="teleconsult-bench-") as folder:
        with (Path(folder) / "file").open("wb") as file:
            while piece := content.read(PIECE_BYTES):
                file.write(piece)
        server = subprocess.Popen([sys.executable, "-c", STATIC, folder, str(port)])
        try:
            assert wait_until(lambda: accepts(port), 10), "the plain server did not start"
            yield port
        finally:
            server.terminate()
            server.wait(10)
            claims.release()


def _peak(part: Part) -> float:
    """Return the most memory that the largest process of a part ever held, in MB."""
    return max(_high_water(process) for process in tree(part))


def _high_water(process: psutil.Process) -> float:
    status = Path(f"/proc/{process.pid}/status").read_text()
    line = next(line for line in status.splitlines() if line.startswith("VmHWM:"))
    return int(line.split()[1]) * 1024 / MEGABYTE
