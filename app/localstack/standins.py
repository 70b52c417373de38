"""Stand-ins as parts of the stack: focus, recorder, mail server and an identity provider.

Apart from the programs themselves, so that who starts them need not import their libraries.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from app.localstack.credentials import write_private
from app.localstack.ports import accepts
from app.localstack.process import Launch, Part


class Focus(Part):
    """The stand-in for Jicofo (app/localstack/focus.py)."""

    name = "focus"

    def __init__(self, folder: Path, *, component_port: int, secret: str) -> None:
        super().__init__(folder)
        self._connected = folder / "connected"
        self._config = folder / "focus.json"
        self._values = {
            "port": component_port,
            "secret": secret,
            "connected_file": str(self._connected),
        }

    def prepare(self) -> None:
        """Write the configuration; the secret must not be on a command line."""
        self._connected.unlink(missing_ok=True)
        write_private(self._config, json.dumps(self._values))

    def launch(self) -> Launch:
        """Return the command line of the program."""
        return Launch([sys.executable, "-m", "app.localstack.focus", str(self._config)])

    def is_ready(self) -> bool:
        """Tell whether it is connected to Prosody at this moment."""
        return self._connected.exists()


# The very script that Jibri runs.
FINALIZE_SCRIPT = Path(__file__).resolve().parents[2] / "jitsi-config" / "jibri" / "finalize"
# Nobody wants to wait for minutes here.
QUIET_S = 5


class Recorder(Part):
    """The stand-in for Jibri (app/localstack/recorder.py)."""

    name = "recorder"

    def __init__(
        self,
        folder: Path,
        *,
        component_port: int,
        secret: str,
        finalize: Path,
        hands_over_to: str,
        files_secret: str,
    ) -> None:
        super().__init__(folder)
        self._connected = folder / "connected"
        self._config = folder / "recorder.json"
        # While it is there, starting a recording fails.
        self.broken = folder / "broken"
        self.recordings = folder / "recordings"
        self._values = {
            "port": component_port,
            "secret": secret,
            "connected_file": str(self._connected),
            "broken_file": str(self.broken),
            "recordings": str(self.recordings),
            "finalize": str(finalize),
            "finalize_settings": {
                "TELECONSULT_API_URL": hands_over_to,
                "TELECONSULT_RECORDER_SECRET": files_secret,
                "TELECONSULT_RECORDINGS": str(self.recordings),
                "TELECONSULT_QUIET_S": str(QUIET_S),
            },
        }

    def prepare(self) -> None:
        """Write the configuration; the secret must not be on a command line."""
        self._connected.unlink(missing_ok=True)
        write_private(self._config, json.dumps(self._values))

    def launch(self) -> Launch:
        """Return the command line of the program."""
        return Launch([sys.executable, "-m", "app.localstack.recorder", str(self._config)])

    def is_ready(self) -> bool:
        """Tell whether it shows itself to the focus at this moment."""
        return self._connected.exists()


class Mail(Part):
    """The catch-all SMTP server (app/localstack/mail.py)."""

    name = "mail"

    def __init__(self, folder: Path, *, port: int) -> None:
        super().__init__(folder)
        self.port = port
        self.inbox = folder / "inbox"

    def launch(self) -> Launch:
        """Return the command line of the program."""
        words = ["--port", str(self.port), "--inbox", str(self.inbox)]
        return Launch([sys.executable, "-m", "app.localstack.mail", *words])

    def is_ready(self) -> bool:
        """Tell whether the server accepts connections."""
        return accepts(self.port)

    def mails(self) -> list[Path]:
        """Return the stored mails, oldest first."""
        return sorted(self.inbox.glob("*.eml"))


class OidcProvider(Part):
    """An OpenID Connect provider (`oidc-provider-mock`): it believes whoever names one of `people`,
    and any program. So it listens on this machine alone.

    Args:
        people: the claims of each, with their `sub`.
    """

    name = "oidc"

    def __init__(self, folder: Path, *, port: int, people: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(folder)
        self.port = port
        self._people = people

    @property
    def url(self) -> str:
        """The issuer's name and address."""
        return f"http://127.0.0.1:{self.port}"

    def launch(self) -> Launch:
        """Return the command line of the program."""
        people = [word for one in self._people for word in ("--user-claims", json.dumps(one))]
        where = ["--host", "127.0.0.1", "--port", str(self.port)]
        program = [sys.executable, "-m", "oidc_provider_mock", *where]
        return Launch([*program, "--require-nonce", "true", *people])

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        link = http.client.HTTPConnection("127.0.0.1", self.port, timeout=1)
        with contextlib.suppress(OSError, http.client.HTTPException), contextlib.closing(link):
            link.request("GET", "/jwks")
            return link.getresponse().status == http.HTTPStatus.OK
        return False
