"""ClamAV's daemon on loopback, with one signature of our own: nothing can be downloaded here, and
the harmless EICAR test file is what people try a scanner with."""

from __future__ import annotations

import contextlib
import shutil
import socket
from pathlib import Path

from app.localstack.process import Launch, Part, PartFailed

# In two halves, so that no scanner takes this file for it. Source: eicar.org.
EICAR = rb"X5O!P%@AP[4\PZX54(P^)7CC)7}$" + rb"EICAR-STANDARD-ANTIVIRUS-TEST-FILE!$H+H*"
SIGNATURE = "Teleconsult.Eicar.Test"
# As large as an X-ray may be, and a little more.
LARGEST = "1100M"


def program() -> str | None:
    """Return the daemon's path, if it is installed; /usr/sbin is not on everybody's path."""
    return shutil.which("clamd") or shutil.which("clamd", path="/usr/sbin")


class Clamd(Part):
    """The malware scanner."""

    name = "clamd"
    ready_within_s = 30.0

    def __init__(self, folder: Path, *, port: int) -> None:
        super().__init__(folder)
        self.port = port
        self._config = folder / "clamd.conf"
        self._signatures = folder / "signatures"

    def prepare(self) -> None:
        """Write the configuration and the signature: the test's words at any place of any file."""
        self._signatures.mkdir(parents=True, exist_ok=True)
        signature = f"{SIGNATURE}:0:*:{EICAR.hex()}\n"
        (self._signatures / "teleconsult.ndb").write_text(signature)
        lines = {
            "Foreground": "yes",
            "DatabaseDirectory": self._signatures,
            "TCPAddr": "127.0.0.1",
            "TCPSocket": self.port,
            "StreamMaxLength": LARGEST,
            "MaxScanSize": LARGEST,
            "MaxFileSize": LARGEST,
            # Else it says of what it did not look at that it is clean.
            "AlertExceedsMax": "yes",
            "MaxScanTime": 200_000,
            "MaxThreads": 4,
            "TemporaryDirectory": self.folder,
        }
        self._config.write_text("".join(f"{key} {value}\n" for key, value in lines.items()))

    def launch(self) -> Launch:
        """Return the command line of the daemon."""
        found = program()
        if found is None:
            raise PartFailed(self.name, "clamd was not found; run script/bootstrap")
        return Launch([found, "--config-file", str(self._config)])

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        with (
            contextlib.suppress(OSError),
            socket.create_connection(("127.0.0.1", self.port), 1) as link,
        ):
            link.sendall(b"zPING\0")
            return link.recv(16).startswith(b"PONG")
        return False
