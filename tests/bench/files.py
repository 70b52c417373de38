"""Files: what a gigabyte takes of every process, and its download beside nginx's."""

from __future__ import annotations

import http.client
import os
import shutil
import struct
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
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
# What Debian's own configuration of nginx says of files, without logs.
NGINX = """
daemon off; pid {folder}/nginx.pid; error_log stderr crit; worker_processes auto; {user}
events {{ worker_connections 768; }}
http {{
    sendfile on; tcp_nopush on; access_log off;
    client_body_temp_path {folder}/body; proxy_temp_path {folder}/proxy;
    fastcgi_temp_path {folder}/fastcgi; uwsgi_temp_path {folder}/uwsgi;
    scgi_temp_path {folder}/scgi;
    server {{ listen 127.0.0.1:{port}; root {folder}; }}
}}
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
        decoder = Decoder(lab.stack.part("worker"))
        share(lab, LargeXray(1), decoder)
        small, decoder.peak = decoder.peak, 0.0
        path = share(lab, LargeXray(scale.xray_frames), decoder)
        megabytes = scale.xray_frames * FRAME_BYTES / MEGABYTE
        figures = [
            Figure(f"{name} most RSS, {megabytes:.0f} MB in", "MB", _peak(lab.stack.part(name)))
            for name in TOLD
        ]
        figures += [
            Figure(f"{name} grew by", "MB", max(0.1, one.ours - before[name]), goal=Goal(100.0))
            for name, one in zip(TOLD, figures, strict=True)
        ]
        assert min(small, decoder.peak) > 0, "no decoder was seen at work"
        grew = max(0.1, decoder.peak - small)
        figures += [
            Figure("decoder most RSS, of what it looks at", "MB", decoder.peak),
            Figure("decoder, more than for one frame", "MB", grew, goal=Goal(100.0)),
        ]
        return [*figures, *_downloads(lab, path, scale)]


class Decoder:
    """The process of its own that looks at a file; it is there for seconds only."""

    def __init__(self, worker: Part) -> None:
        self._worker = worker
        self.peak = 0.0

    def look(self) -> None:
        """See how much memory it has, if it is there."""
        for process in tree(self._worker):
            with suppress(psutil.Error, OSError, StopIteration):
                if "app.files.inspection" in process.cmdline():
                    self.peak = max(self.peak, _high_water(process))


def share(lab: Lab, content: LargeXray, decoder: Decoder) -> str:
    """Share an X-ray, wait until it was checked, and return where it is."""
    files = f"/sessions/{lab.hospital.session()['id']}/files"
    body = {"kind": "xray", "name": "large", "size_bytes": content.size}
    announced = lab.hospital.make(files, body)
    progress("sending")
    _send(lab, urlsplit(announced["upload_url"]).path, content)
    progress("checking")
    path = f"{files}/{announced['id']}"

    def state() -> str:
        decoder.look()
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


def _downloads(lab: Lab, path: str, scale: Scale) -> list[Figure]:
    """Fetch the X-ray from us and the same bytes from nginx in turns: the whole, and a half as
    players ask for it."""
    size = LargeXray(scale.xray_frames).size
    with nginx(lab.stack.data_dir, LargeXray(scale.xray_frames)) as plain:
        return [
            _figure(lab, path, plain, scale, name="download", asked={}, length=size),
            _figure(
                lab,
                path,
                plain,
                scale,
                name="download of a range",
                asked={"Range": f"bytes={size // 2}-"},
                length=size - size // 2,
            ),
        ]


def _figure(
    lab: Lab, path: str, plain: int, scale: Scale, *, name: str, asked: dict[str, str], length: int
) -> Figure:
    ours, floors = [], []
    for number in range(scale.file_rounds):
        progress(f"{name}, round {number + 1}")
        link = lab.hospital.make(f"{path}/links", {})
        there = urlsplit(link["url"]).path
        ours.append(_rate(lab.stack.ports["api"], there, asked, length))
        floors.append(_rate(plain, "/file", asked, length))
    return Figure(
        f"{name}, one client",
        "MB/s",
        sorted(ours)[len(ours) // 2],
        sorted(floors)[len(floors) // 2],
        rounds=[one / other for one, other in zip(ours, floors, strict=True)],
        goal=Goal(0.5, of="ratio", at_least=True),
    )


def _rate(port: int, path: str, asked: dict[str, str], length: int) -> float:
    link = http.client.HTTPConnection("127.0.0.1", port, timeout=600)
    began, received = time.perf_counter(), 0
    link.request("GET", path, headers=asked)
    answer = link.getresponse()
    while piece := answer.read(PIECE_BYTES):
        received += len(piece)
    link.close()
    assert (answer.status in (200, 206), received) == (True, length), answer.status
    return received / MEGABYTE / (time.perf_counter() - began)


@contextmanager
def nginx(beside: Path, content: LargeXray) -> Iterator[int]:
    """Serve the same bytes as a plain file on the same disk, and yield the port."""
    program = shutil.which("nginx", path=f"{os.environ['PATH']}:/usr/sbin")
    assert program, "nginx was not found; run script/bootstrap"
    claims = Ports()
    port = claims.choose()
    with tempfile.TemporaryDirectory(prefix="nginx-", dir=beside) as folder:
        with (Path(folder) / "file").open("wb") as file:
            while piece := content.read(PIECE_BYTES):
                file.write(piece)
        user = "user root;" if os.geteuid() == 0 else ""
        config = Path(folder) / "nginx.conf"
        config.write_text(NGINX.format(folder=folder, port=port, user=user))
        server = subprocess.Popen([program, "-c", str(config)])
        try:
            assert wait_until(lambda: accepts(port), 10), "nginx did not start"
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
