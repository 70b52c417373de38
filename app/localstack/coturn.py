"""coturn with time-limited credentials, relaying on loopback only."""

from __future__ import annotations

import contextlib
import secrets
import shutil
import socket
import struct
from pathlib import Path

from app.localstack.credentials import write_private
from app.localstack.process import Launch, Part, PartFailed

STUN_BINDING_REQUEST = 0x0001
STUN_MAGIC_COOKIE = 0x2112A442  # RFC 8489, section 5


class Coturn(Part):
    """The TURN and STUN server.

    Never start it with `-n`: that ignores the configuration and lets everybody in.
    """

    name = "coturn"

    def __init__(self, folder: Path, *, port: int, secret: str, realm: str) -> None:
        super().__init__(folder)
        self.port = port
        self._secret = secret
        self._realm = realm
        self._config = folder / "turnserver.conf"

    def prepare(self) -> None:
        """Write the configuration."""
        write_private(
            self._config,
            "\n".join(
                [
                    "listening-ip=127.0.0.1",
                    "relay-ip=127.0.0.1",
                    f"listening-port={self.port}",
                    # Both ends of a local call are on loopback, which coturn refuses to relay to by
                    # default; it accepts the permission only with its admin console off.
                    "allow-loopback-peers",
                    "no-cli",
                    "use-auth-secret",
                    f"static-auth-secret={self._secret}",
                    f"realm={self._realm}",
                    "fingerprint",
                    "no-tls",
                    "no-dtls",
                    "log-file=stdout",
                    "simple-log",
                    f"pidfile={self.folder / 'turnserver.pid'}",
                    f"userdb={self.folder / 'turndb'}",
                    "",
                ]
            ),
        )

    def launch(self) -> Launch:
        """Return the command line of the server."""
        program = shutil.which("turnserver")
        if program is None:
            raise PartFailed(self.name, "turnserver was not found; run script/bootstrap")
        return Launch([program, "-c", str(self._config)])

    def is_ready(self) -> bool:
        """Tell whether the server answers a STUN binding request."""
        transaction = secrets.token_bytes(12)
        request = struct.pack("!HHI", STUN_BINDING_REQUEST, 0, STUN_MAGIC_COOKIE) + transaction
        with contextlib.suppress(OSError), socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as link:
            link.settimeout(0.1)
            link.connect(("127.0.0.1", self.port))
            link.send(request)
            return transaction in link.recv(512)
        return False
