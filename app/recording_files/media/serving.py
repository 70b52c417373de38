"""Lets ffmpeg read a stored file as if it lay on a disk: over HTTP with ranges, on loopback, under
an address that only it is told, for as long as it works. So no part of it lies on a disk as it is.
"""

import re
import secrets
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

from app.errors import DomainError, Unavailable
from app.ports import Pieces

# Yields so many bytes from a position on.
Read = Callable[[int, int], Pieces]
RANGE = re.compile(r"bytes=([0-9]+)-([0-9]*)")
ANSWER_WITHIN_S = 60


class Served(ThreadingHTTPServer):
    """One file. `failure`: why it could not be read, if that happened."""

    daemon_threads = True

    def __init__(self, read: Read, size: int) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.read = read
        self.size = size
        self.path = f"/{secrets.token_urlsafe(24)}"
        self.failure: DomainError | None = None

    @property
    def url(self) -> str:
        """Where it is."""
        return f"http://127.0.0.1:{self.server_port}{self.path}"

    def check(self) -> None:
        """Say that it was not the file's fault, if it was not.

        Raises:
            Unavailable: the store does not answer, or has not what was stored.
        """
        if self.failure is not None:
            raise Unavailable("The file could not be read.", code=self.failure.code)

    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing: whoever reads goes away when it has seen enough."""


@contextmanager
def served(read: Read, size: int) -> Iterator[Served]:
    """Serve a file until the block ends."""
    with Served(read, size) as server:
        Thread(target=server.serve_forever, name="served-file", daemon=True).start()
        try:
            yield server
        finally:
            server.shutdown()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    timeout = ANSWER_WITHIN_S
    server: Served

    def do_GET(self) -> None:
        """Send the file from where it is wanted."""
        if not secrets.compare_digest(self.path.encode(), self.server.path.encode()):
            self.send_error(404)
            return
        start, end = self._wanted()
        if start >= self.server.size:
            self.send_response(416)
            self.send_header("Content-Range", f"bytes */{self.server.size}")
            self.send_header("Content-Length", "0")
            self.end_headers()
            return
        self.send_response(206)
        self.send_header("Content-Range", f"bytes {start}-{end - 1}/{self.server.size}")
        self.send_header("Accept-Ranges", "bytes")
        self.send_header("Content-Length", str(end - start))
        self.end_headers()
        self._send(start, end)

    def _wanted(self) -> tuple[int, int]:
        found = RANGE.fullmatch(self.headers.get("Range", "bytes=0-"))
        start, last = (found[1], found[2]) if found else ("0", "")
        end = int(last) + 1 if last else self.server.size
        return int(start), min(end, self.server.size)

    def _send(self, start: int, end: int) -> None:
        try:
            with closing(self.server.read(start, end - start)) as pieces:
                for piece in pieces:
                    self.wfile.write(piece)
        except DomainError as error:
            self.server.failure = error
            self.close_connection = True

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the library's name
        """Write nothing: the address is a key."""
