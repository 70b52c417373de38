"""A real OpenID Connect provider as a process: the local stack's, with people of the test's own."""

import socket
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests

from app.localstack.standins import OidcProvider


class Provider(OidcProvider):
    """Knows `people` by their `sub`, with the claims given; any client id and secret will do."""

    def __init__(self, folder: Path, people: Sequence[Mapping[str, Any]]) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            port = free.getsockname()[1]
        super().__init__(folder, port=port, people=people)

    def answer(self, address: str, **form: str) -> dict[str, str]:
        """Do as a person does on the provider's page (`sub=…` or `action="deny"`); return what it
        sends back by the browser."""
        answer = requests.post(address, data=form, allow_redirects=False, timeout=5)
        assert answer.status_code == 302, answer.text
        return dict(parse_qsl(urlsplit(answer.headers["Location"]).query))
