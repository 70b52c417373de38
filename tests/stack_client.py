"""The API of a running stack, as a hospital's program calls it over HTTP."""

from dataclasses import dataclass
from typing import Any

import requests

from app.localstack.supervisor import LocalStack


@dataclass(frozen=True, slots=True)
class StackClient:
    """Calls with the demo hospital's token. Answers are returned whatever their status."""

    url: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> requests.Response:
        """Send one request."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return requests.request(method, self.url + path, headers=headers, timeout=15, **options)

    def make(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """POST something that must be created, and return it."""
        answer = self.call("POST", path, json=body)
        assert answer.status_code in (200, 201), answer.text
        return dict(answer.json())

    def session(self, **body: Any) -> dict[str, Any]:
        """Create a session, open at once unless it is planned. Nobody has to be admitted unless
        `waiting_room` says so."""
        return self.make("/sessions", {"waiting_room": False, **body})

    def invite(self, session: dict[str, Any], role: str, **body: Any) -> dict[str, Any]:
        """Invite one person and return them with their link."""
        name = {"display_name": f"Some {role}"}
        return self.make(f"/sessions/{session['id']}/participants", {"role": role, **name, **body})

    def read(self, session: dict[str, Any]) -> dict[str, Any]:
        """Read a session with who is present."""
        answer = self.call("GET", f"/sessions/{session['id']}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())


def sign_in(stack: LocalStack, client_id: str, client_secret: str) -> StackClient:
    """Get a token by client credentials."""
    answer = requests.post(
        f"{stack.api_url}/oauth/token",
        data={"grant_type": "client_credentials"},
        auth=(client_id, client_secret),
        timeout=15,
    )
    assert answer.status_code == 200, answer.text
    return StackClient(stack.api_url, answer.json()["access_token"])
