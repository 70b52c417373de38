"""Whoever calls gets to what is theirs: tokens, scopes, and other hospitals' ids."""

import base64
import json
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import jwt
import pytest
from flask import Flask

from app.clock import utc_now
from app.services import Services
from app.web.auth import SCOPES, issue_token
from tests.api.clinic import appointment_in, make_appointment, with_directory
from tests.api.hospital import Hospital, admit_hospital
from tests.api.left import put
from tests.api.prosody import invite, prosody_of
from tests.api.records import audit_of
from tests.api.watching import finish

ETAG = {"If-Match": '"1"'}
S, P, W = "/sessions/{session}", "/sessions/{session}/participants/{person}", "/webhooks/{webhook}"
F = f"{S}/files/{{file}}"
PERSON = {"role": "doctor", "display_name": "X"}
FILE = {"kind": "image", "name": "a.jpg", "size_bytes": 9}
HOOK = {"url": "https://hospital.example/hook"}
A, V = "/appointments/{appointment}", "/visits/{appointment}"
RESEND = {"participant_id": str(uuid4()), "kind": "invitation"}
PAST = {"since": "2026-01-01T00:00:00Z", "until": "2026-01-02T00:00:00Z"}
E = "/emergency-entries/{entry}"
R = "/recordings/{recording}"
L = f"{R}/playback-links"
VIEWER = {"viewer_reference": "insurer-4", "viewer_name": "Jo Reader"}
CONSENT = {"participant_id": str(uuid4()), "act": "given", "text_sha256": "0" * 64}
EMERGENCY = {"reason": "Siren.", "display_name": "Medic 7"}


APPOINTMENT = {
    **{name: appointment_in()[name] for name in ("start", "end")},
    "visit_type": "consultation",
    "reference": None,
}


@dataclass(frozen=True)
class Operation:
    """One operation, a request it accepts, and the scope it needs."""

    method: str
    path: str
    scope: str
    body: Any = None
    headers: dict[str, str] | None = None

    def __str__(self) -> str:
        return f"{self.method} {self.path}"

    def call(self, hospital: Hospital, **ids: str) -> Any:
        """Send it about these ids."""
        headers = self.headers or {}
        path = self.path.format(**ids)
        return hospital.call(self.method, path, json=self.body, headers=headers)


SPAN = "since=2026-01-01T00:00:00Z&until=2026-01-02T00:00:00Z"
OPERATIONS = [
    Operation("POST", "/sessions", "sessions:write", {}),
    Operation("GET", "/sessions", "sessions:read"),
    Operation("GET", S, "sessions:read"),
    Operation("PATCH", S, "sessions:write", {"capacity": 3}, ETAG),
    Operation("POST", f"{S}/start", "sessions:write"),
    Operation("POST", f"{S}/end", "sessions:write", {"reason": "x"}),
    Operation("POST", f"{S}/cancel", "sessions:write"),
    Operation("POST", f"{S}/messages", "rooms:moderate", {"text": "x"}),
    Operation("POST", f"{S}/mute", "rooms:moderate"),
    Operation("GET", f"{S}/av-moderation", "sessions:read"),
    Operation("PUT", f"{S}/av-moderation", "rooms:moderate", {"audio": True, "video": True}),
    Operation("POST", f"{P}/mute", "rooms:moderate"),
    Operation("POST", f"{P}/unmute-request", "rooms:moderate"),
    Operation("POST", f"{P}/moderator", "rooms:moderate"),
    Operation("DELETE", f"{P}/moderator", "rooms:moderate"),
    Operation("GET", f"{S}/waiting", "rooms:moderate"),
    Operation("POST", f"{S}/waiting/admit-next", "rooms:moderate"),
    Operation("POST", f"{S}/waiting/{{person}}/admit", "rooms:moderate"),
    Operation("POST", f"{S}/waiting/{{person}}/deny", "rooms:moderate", {"message": "x"}),
    Operation("POST", f"{S}/recordings", "recordings:write", {"ask_first": True}),
    Operation("GET", f"{S}/recordings", "recordings:read"),
    Operation("GET", R, "recordings:read"),
    Operation("POST", f"{R}/stop", "recordings:write"),
    Operation("POST", f"{R}/files/{{recorded}}/release", "recordings:write", {"reason": "Agreed."}),
    Operation("DELETE", R, "recordings:delete"),
    Operation("GET", f"{R}/deletion", "recordings:delete"),
    Operation("POST", L, "recordings:share", VIEWER),
    Operation("GET", L, "recordings:share"),
    Operation("DELETE", f"{L}/{{playback}}", "recordings:share"),
    Operation("POST", f"{S}/holds", "holds:manage", {"reason": "incident"}),
    Operation("GET", f"{S}/holds", "holds:manage"),
    Operation("GET", "/holds", "holds:manage"),
    Operation("POST", "/holds/{hold}/release", "holds:manage", {"reason": "closed"}),
    Operation("GET", f"{S}/consents", "consents:read"),
    Operation("POST", f"{S}/consents", "consents:write", CONSENT),
    Operation("GET", f"{S}/consents/fhir", "consents:read"),
    Operation("GET", "/consent-texts", "organisation:read"),
    Operation("POST", "/consent-texts", "organisation:manage", {"language": "en", "text": "?"}),
    Operation("POST", f"{S}/participants", "participants:write", PERSON),
    Operation("GET", f"{S}/participants", "participants:read"),
    Operation("DELETE", f"{S}/participants?participant_id={{person}}", "participants:write"),
    Operation("GET", P, "participants:read"),
    Operation("PATCH", P, "participants:write", {"locale": "de"}, ETAG),
    Operation("DELETE", P, "participants:write"),
    Operation("POST", f"{P}/link", "participants:write"),
    Operation("POST", "/webhooks", "webhooks:manage", HOOK),
    Operation("GET", "/webhooks", "webhooks:manage"),
    Operation("GET", W, "webhooks:manage"),
    Operation("PATCH", W, "webhooks:manage", {"is_active": False}, ETAG),
    Operation("DELETE", W, "webhooks:manage"),
    Operation("GET", "/appointments", "appointments:read"),
    Operation("POST", "/appointments", "appointments:write", appointment_in()),
    Operation("GET", A, "appointments:read"),
    Operation("PUT", A, "appointments:write", APPOINTMENT, ETAG),
    Operation("POST", f"{A}/cancel", "appointments:write", {"reason": "x"}),
    Operation("POST", f"{A}/arrive", "appointments:write"),
    Operation("POST", f"{A}/no-show", "appointments:write"),
    Operation("POST", f"{V}/start", "visits:write"),
    Operation("POST", f"{V}/end", "visits:write", {"reason": "x"}),
    Operation("GET", "/visits", "appointments:read"),
    Operation("GET", f"{V}/status", "appointments:read"),
    Operation("GET", f"{S}/notifications", "notifications:manage"),
    Operation("POST", f"{S}/notifications", "notifications:manage", RESEND),
    Operation("GET", "/events", "events:read"),
    Operation("GET", "/events/types", "events:read"),
    Operation("GET", f"{W}/deliveries", "webhooks:manage"),
    Operation("POST", f"{W}/deliveries/{{delivery}}/redeliver", "webhooks:manage"),
    Operation("POST", f"{W}/redeliver", "webhooks:manage", PAST),
    Operation("POST", f"{W}/pause", "webhooks:manage"),
    Operation("POST", f"{W}/resume", "webhooks:manage"),
    Operation("POST", f"{W}/rotate-secret", "webhooks:manage"),
    Operation("POST", f"{W}/test", "webhooks:manage"),
    Operation("POST", f"{S}/files", "files:write", FILE),
    Operation("GET", f"{S}/files", "files:read"),
    Operation("GET", F, "files:read"),
    Operation("DELETE", F, "files:write"),
    Operation("GET", f"{F}/deletion", "files:read"),
    Operation("POST", f"{F}/links", "files:read", {}),
    Operation("GET", f"{S}/attendance", "sessions:read"),
    Operation("GET", f"{S}/attendance.csv", "sessions:read"),
    Operation("POST", f"{S}/emergency-entries", "emergency:enter", EMERGENCY),
    Operation("GET", "/emergency-entries", "emergency:review"),
    Operation("GET", E, "emergency:review"),
    Operation("POST", f"{E}/review", "emergency:review", {"outcome": "justified"}),
    Operation("GET", "/organisation", "organisation:read"),
    Operation("PATCH", "/organisation", "organisation:manage", {"locale": "de"}, ETAG),
    Operation("GET", "/stats", "operations:read"),
    Operation("GET", "/audit", "audit:read"),
    Operation("GET", f"/audit/export?{SPAN}", "audit:read"),
]
ABOUT_ONE = [operation for operation in OPERATIONS if "{" in operation.path]
NAMED = (
    "session", "person", "webhook", "appointment", "entry", "delivery", "recording", "recorded",
    "file", "hold", "playback",
)  # fmt: skip
IDS = {name: str(uuid4()) for name in NAMED}
# They have no caller with a token, each for its own reason.
OPEN = {
    "POST /oauth/token",
    "GET /.well-known/jwks.json",
    "GET /jitsi/keys/{name}",
    "POST /j/{code}/token",
    "GET /j/{code}/state",
    "GET /j/{code}/people",
    "GET /j/{code}/consents",
    "POST /j/{code}/consents",
    "GET /j/{code}/waiting",
    "GET /j/{code}/files",
    "POST /j/{code}/files",
    "POST /j/{code}/files/{file_id}/link",
    "DELETE /j/{code}/files/{file_id}",
    "POST /p/{code}/views",
    "POST /j/{code}/waiting/admit-next",
    "POST /j/{code}/waiting/{participant_id}/admit",
    "POST /j/{code}/waiting/{participant_id}/deny",
    *(
        f"POST /j/{{code}}/controls/{what}"
        for what in (
            "mute",
            "mute-all",
            "unmute-request",
            "remove",
            "moderator",
            "av-moderation",
            "message",
            "end",
            "record",
            "stop-recording",
        )
    ),
    "GET /health",
    "GET /metrics",
}
# Every caller may.
ME = "GET /staff/me"


@pytest.fixture(scope="module")
def dora(app: Flask, services: Services) -> Hospital:
    """A hospital that has things which no test gets at."""
    return admit_hospital(app, services, "Dora Hospital")


@pytest.fixture(scope="module")
def hers(app: Flask, services: Services, dora: Hospital) -> dict[str, str]:
    """Ids of what Dora has."""
    prosody = prosody_of(app, services)
    session = dora.new_session()
    person = dora.invite(session["id"])
    recorded = dora.new_session()
    assert prosody.tell(invite(services, dora, recorded).joined()) == 1
    wanted = dora.post(f"/sessions/{recorded['id']}/recordings", json={"ask_first": True})
    hook = dora.post("/webhooks", json=HOOK)
    assert hook.status_code == 201, hook.text
    made = make_appointment(with_directory(dora))
    emergency = dora.new_session(kind="emergency")["id"]
    entered = dora.post(f"/sessions/{emergency}/emergency-entries", json=EMERGENCY).get_json()
    file = dora.post(f"/sessions/{session['id']}/files", json=FILE)
    held = dora.post(f"/sessions/{session['id']}/holds", json={"reason": "incident"})
    link = playback_link(services, dora, wanted.get_json()["id"])
    return {
        "session": session["id"],
        "person": person["id"],
        "webhook": hook.get_json()["id"],
        "appointment": made["id"],
        "entry": entered["entry"]["id"],
        "delivery": str(uuid4()),
        "recording": wanted.get_json()["id"],
        "recorded": str(put(services, wanted.get_json()["id"], state="withheld").id),
        "file": file.get_json()["id"],
        "hold": held.get_json()["id"],
        "playback": link,
    }


def playback_link(services: Services, dora: Hospital, recording_id: str) -> str:
    """Return the id of a link to a recording, which is over from now on."""
    finish(services, recording_id)
    answer = dora.post(f"/recordings/{recording_id}/playback-links", json=VIEWER)
    assert answer.status_code == 201, answer.text
    return str(answer.get_json()["id"])


def documented(app: Flask) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield every operation of the API document as `METHOD /path`."""
    document = app.test_client().get("/openapi.json").get_json()
    for path, item in document["paths"].items():
        for method, operation in item.items():
            if method in ("get", "post", "put", "patch", "delete"):
                yield f"{method.upper()} {path}", operation


def test_the_table_above_holds_every_operation(app: Flask) -> None:
    """A route that is added must be added here, with the scope its document names."""
    found = dict(documented(app))
    names = {
        "session": "{session_id}",
        "person": "{participant_id}",
        "webhook": "{webhook_id}",
        "appointment": "{appointment_id}",
        "entry": "{entry_id}",
        "delivery": "{delivery_id}",
        "recording": "{recording_id}",
        "recorded": "{recording_file_id}",
        "file": "{file_id}",
        "hold": "{hold_id}",
        "playback": "{link_id}",
    }
    tabled = {str(o).partition("?")[0].format(**names): o.scope for o in OPERATIONS}
    assert set(found) == {*tabled, *OPEN, ME}
    for name, scope in tabled.items():
        by_token, by_person, by_cookie = found[name]["security"]
        assert (by_token, by_person) == ({"oauth2": [scope]}, {"openIdConnect": [scope]}), name
        assert by_cookie == {"staffCookie": []}


@pytest.mark.parametrize("operation", ABOUT_ONE, ids=str)
def test_what_is_another_hospitals_is_not_there(
    dora: Hospital, charlie: Hospital, hers: dict[str, str], operation: Operation
) -> None:
    """404, not 403, and word for word what an id that never existed gets."""
    answer = operation.call(charlie, **hers)
    never = operation.call(charlie, **IDS)
    assert (answer.status_code, answer.get_json()) == (404, never.get_json())
    kept = [dora.get(path.format(**hers)).get_json() for path in (S, P, W, A)]
    assert [one["version"] for one in kept] == [1, 1, 1, 1]


@pytest.mark.parametrize("path", ["/sessions", "/webhooks", "/appointments"])
@pytest.mark.usefixtures("hers")
def test_another_hospitals_list_is_empty(charlie: Hospital, path: str) -> None:
    """Though another has some."""
    assert charlie.get(path).get_json()["items"] == []


def test_a_person_of_another_hospital_is_not_in_my_session(
    charlie: Hospital, hers: dict[str, str]
) -> None:
    """The participant's id alone opens nothing."""
    mine = charlie.new_session()["id"]
    for operation in ABOUT_ONE:
        if "{person}" in operation.path:
            answer = operation.call(charlie, **{**hers, "session": mine})
            assert answer.status_code == 404, operation


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_without_a_token_nothing_opens(alice: Hospital, operation: Operation) -> None:
    """401, with what to send."""
    for header in ("", "Bearer", "Bearer ", "Basic YTpi", f"Token {alice.token}"):
        request = {**(operation.headers or {}), "Authorization": header}
        client = alice.app.test_client()
        answer = client.open(
            operation.path.format(**IDS),
            method=operation.method,
            json=operation.body,
            headers=request,
        )
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_missing")
        assert answer.headers["WWW-Authenticate"].startswith("Bearer")


@pytest.mark.parametrize("operation", OPERATIONS, ids=str)
def test_every_other_scope_together_is_not_enough(
    app: Flask, services: Services, operation: Operation
) -> None:
    """403, before anything is looked up, and audited with the client's name."""
    others = [scope for scope in SCOPES if scope != operation.scope]
    limited = admit_hospital(app, services, "Limited", scopes=others)
    answer = operation.call(limited, **IDS)
    assert (answer.status_code, answer.get_json()["code"]) == (403, "scope_missing")
    assert operation.scope in answer.get_json()["detail"]
    entry = audit_of(services, limited.organisation_id)[-1]
    assert (entry.action, entry.outcome) == ("api.called", "refused")
    assert (entry.actor_id, entry.detail) == (str(limited.client_id), {"code": "scope_missing"})


class TestBadTokens:
    """Tokens that are nearly right."""

    def token(self, hospital: Hospital, **changes: Any) -> str:
        """Return a token made as ours are, with something different."""
        made: dict[str, Any] = {
            "client_id": hospital.client_id,
            "organisation_id": hospital.organisation_id,
            "scopes": list(SCOPES),
            "secret": hospital.app.extensions["teleconsult"].settings.api_token_secret[0],
            "ttl_s": 900,
            "now": utc_now(),
        }
        return issue_token(**{**made, **changes})

    def forged(self, hospital: Hospital, kind: str) -> str:
        """Return a token of one bad kind."""
        head, body, signature = hospital.token.split(".")
        claims = jwt.decode(hospital.token, options={"verify_signature": False})
        secret = hospital.app.extensions["teleconsult"].settings.api_token_secret[0]
        endless = {name: value for name, value in claims.items() if name != "exp"}
        kinds = {
            "altered": f"{head}.{encoded({**claims, 'org': str(uuid4())})}.{signature}",
            "alg none": f"{encoded({'alg': 'none', 'typ': 'JWT'})}.{body}.",
            "other secret": self.token(hospital, secret=bytes(32)),
            "other algorithm": jwt.encode(claims, secret * 2, algorithm="HS512"),
            "other issuer": jwt.encode({**claims, "iss": "x"}, secret, algorithm="HS256"),
            "no end": jwt.encode(endless, secret, algorithm="HS256"),
        }
        return kinds.get(kind, kind)

    @pytest.mark.parametrize(
        "kind",
        ["altered", "alg none", "other secret", "other algorithm", "other issuer", "no end",
         "nonsense", "a.b.c", "é" * 20],
    )  # fmt: skip
    def test_a_token_that_is_not_ours_opens_nothing(
        self, alice: Hospital, services: Services, kind: str
    ) -> None:
        """401, and a stranger's try is audited."""
        before = len(audit_of(services, None))
        answer = replace(alice, token=self.forged(alice, kind)).get("/sessions")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_invalid")
        tries = audit_of(services, None)[before:]
        assert [(t.action, t.detail) for t in tries] == [("api.called", {"code": "token_invalid"})]

    def test_an_expired_token_says_so(self, alice: Hospital) -> None:
        """So that a program gets a new one instead of giving up."""
        old = self.token(alice, now=utc_now() - timedelta(hours=1))
        answer = replace(alice, token=old).get("/sessions")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_expired")

    def test_a_token_of_a_hospital_that_never_was_sees_nothing(self, alice: Hospital) -> None:
        """Even one signed by us."""
        lost = replace(alice, token=self.token(alice, organisation_id=uuid4()))
        alice.new_session()
        assert lost.get("/sessions").get_json()["items"] == []

    def test_a_jitsi_token_opens_no_api(self, app: Flask, alice: Hospital) -> None:
        """Two kinds of tokens that must not be mixed up."""
        doctor = alice.invite(alice.new_session()["id"], "doctor")
        click = app.test_client().post(doctor["link"][doctor["link"].index("/j/") :] + "/token")
        answer = replace(alice, token=click.get_json()["jwt"]).get("/sessions")
        assert (answer.status_code, answer.get_json()["code"]) == (401, "token_invalid")


def encoded(value: dict[str, Any]) -> str:
    """Return a part of a JWT."""
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode().rstrip("=")
