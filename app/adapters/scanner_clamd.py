"""ClamAV's daemon, spoken to over its socket: a stream in pieces, one line back.

By hand, because the protocol is two commands, and the client libraries for it have had no release
for years. Source: clamd(8), INSTREAM and PING, in their null-terminated form.
"""

import socket
from collections.abc import Iterable, Iterator
from contextlib import contextmanager

from app.errors import Invalid, Unavailable
from app.ports import Pings, Scanner

CONNECT_S = 2.0
# A large file is unpacked and looked through after its last byte, which takes its time.
ANSWER_S = 240.0
LONGEST_ANSWER = 4096
CLEAN, FOUND = "OK", "FOUND"
TOO_LARGE = "size limit exceeded"


class Clamd(Scanner, Pings):
    """One clamd, at `host:port` or at a socket's path."""

    def __init__(self, address: str) -> None:
        self._address = address

    def scan(self, content: Iterable[bytes]) -> str:
        """Send the stream and read the verdict."""
        with _translated(), self._connection() as link:
            link.settimeout(ANSWER_S)
            try:
                link.sendall(b"zINSTREAM\0")
                for piece in content:
                    if piece:  # an empty one would be the end
                        link.sendall(len(piece).to_bytes(4, "big") + piece)
                link.sendall(bytes(4))
            except (BrokenPipeError, ConnectionResetError):
                pass  # it had enough, and says why
            return _verdict(_answer(link))

    def ping(self) -> None:
        """Ask for a sign of life."""
        with _translated(), self._connection() as link:
            link.settimeout(CONNECT_S)
            link.sendall(b"zPING\0")
            if _answer(link) != "PONG":
                raise _unavailable()

    def _connection(self) -> socket.socket:
        if not self._address:
            raise _unavailable()
        if self._address.startswith("/"):
            link = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
            link.settimeout(CONNECT_S)
            try:
                link.connect(self._address)
            except OSError:
                link.close()
                raise
            return link
        host, _, port = self._address.rpartition(":")
        return socket.create_connection((host, int(port)), CONNECT_S)


def _answer(link: socket.socket) -> str:
    received = b""
    while len(received) < LONGEST_ANSWER and not received.endswith(b"\0"):
        more = link.recv(LONGEST_ANSWER)
        if not more:
            break
        received += more
    return received.rstrip(b"\0\n").decode("utf-8", "replace")


def _verdict(answer: str) -> str:
    """Return the name of what was found. Whatever is not understood is not taken for clean."""
    subject, _, verdict = answer.partition(": ")
    if subject == "stream" and verdict == CLEAN:
        return ""
    if subject == "stream" and verdict.endswith(f" {FOUND}"):
        return verdict.removesuffix(f" {FOUND}")
    if TOO_LARGE in answer:
        raise Invalid("The malware scanner does not take a file this large.", code="file_unscanned")
    raise _unavailable()


@contextmanager
def _translated() -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _unavailable() from error


def _unavailable() -> Unavailable:
    return Unavailable("The malware scanner does not answer.", code="scanner_unavailable")
