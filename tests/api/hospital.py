"""A hospital's program as the tests use it: an organisation, credentials, and requests."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from flask import Flask
from werkzeug.test import TestResponse

from app.clock import utc_now
from app.organisations import clients, service
from app.services import Services
from app.web.auth import SCOPES, issue_token


@dataclass(frozen=True)
class Hospital:
    """One organisation calling the API with the scopes it was given."""

    app: Flask
    organisation_id: UUID
    client_id: UUID
    client_secret: str
    token: str

    def call(self, method: str, path: str, **options: Any) -> TestResponse:
        """Send one request with the token."""
        headers = {"Authorization": f"Bearer {self.token}", **options.pop("headers", {})}
        return self.app.test_client().open(path, method=method, headers=headers, **options)

    def get(self, path: str, **options: Any) -> TestResponse:
        """GET."""
        return self.call("GET", path, **options)

    def post(self, path: str, **options: Any) -> TestResponse:
        """POST."""
        return self.call("POST", path, **options)

    def patch(self, path: str, **options: Any) -> TestResponse:
        """PATCH."""
        return self.call("PATCH", path, **options)

    def put(self, path: str, **options: Any) -> TestResponse:
        """PUT."""
        return self.call("PUT", path, **options)

    def delete(self, path: str, **options: Any) -> TestResponse:
        """DELETE."""
        return self.call("DELETE", path, **options)

    def new_session(self, **body: Any) -> dict[str, Any]:
        """Create a session, open at once unless `planned_start` is given. Nobody has to be admitted
        unless `waiting_room` says so."""
        answer = self.post("/sessions", json={"waiting_room": False, **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())

    def invite(self, session_id: str, role: str = "patient", **body: Any) -> dict[str, Any]:
        """Invite one person and return them with their link."""
        path = f"/sessions/{session_id}/participants"
        answer = self.post(path, json={"role": role, "display_name": f"Some {role}", **body})
        assert answer.status_code == 201, answer.text
        return dict(answer.get_json())


def admit_hospital(
    app: Flask, services: Services, name: str, *, scopes: Sequence[str] = tuple(SCOPES)
) -> Hospital:
    """Create an organisation and a client with `scopes`."""
    now = utc_now()
    with services.database.begin() as db:
        organisation = service.create_organisation(db, name=name, locale="en", now=now)
        made = clients.create_client(
            db, organisation_id=organisation.id, name="EHR", scopes=scopes, now=now
        )
    token = issue_token(
        client_id=made.client.id,
        organisation_id=organisation.id,
        scopes=scopes,
        secret=services.settings.api_token_secret[0],
        ttl_s=900,
        now=now,
    )
    return Hospital(app, organisation.id, made.client.id, made.secret, token)
