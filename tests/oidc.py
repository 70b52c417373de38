"""A real OpenID Connect provider as a process: `oidc-provider-mock`."""

import contextlib
import json
import socket
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from app.localstack.process import Launch, Part


class Provider(Part):
    """Knows `people` by their `sub`, with the claims given; any client id and secret will do."""

    name = "oidc"

    def __init__(self, folder: Path, people: Sequence[Mapping[str, Any]]) -> None:
        super().__init__(folder)
        self._people = people
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]

    @property
    def url(self) -> str:
        """The issuer's name and address."""
        return f"http://127.0.0.1:{self._port}"

    def launch(self) -> Launch:
        """Return the command line."""
        people = [word for one in self._people for word in ("--user-claims", json.dumps(one))]
        command = [sys.executable, "-m", "oidc_provider_mock", "-p", str(self._port)]
        return Launch([*command, "--require-nonce", "true", *people])

    def is_ready(self) -> bool:
        """Tell whether it answers."""
        with contextlib.suppress(OSError):
            return requests.get(f"{self.url}/jwks", timeout=1).status_code == 200
        return False

    def answer(self, address: str, **form: str) -> dict[str, str]:
        """Do as a person does on the provider's page (`sub=…` or `action="deny"`); return what it
        sends back by the browser."""
        answer = requests.post(address, data=form, allow_redirects=False, timeout=5)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
