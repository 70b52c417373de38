"""Wrong links, and strangers who speak to the API as if they were Prosody."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from uuid import uuid4

import pytest
import requests

from app.clock import utc_now
from app.signing import sign
from tests.flow.clinic import Clinic, Guest

ADMISSION, EVENTS = "/internal/rooms/admission", "/internal/rooms/events"
Headers = dict[str, str]


@dataclass(frozen=True, slots=True)
class BadLink:
    """A link that no longer, or never, opens the door."""

    name: str
    status: int
    code: str
    spoil: Callable[[Clinic, Guest], str]


def unchanged_after(act: Callable[[Clinic, Guest], object]) -> Callable[[Clinic, Guest], str]:
    """The link as it was sent, after something has happened."""

    def spoil(clinic: Clinic, guest: Guest) -> str:
        act(clinic, guest)
        return guest.code

    return spoil


def end(clinic: Clinic, guest: Guest) -> None:
    clinic.do("POST", f"/sessions/{guest.session['id']}/end")


def replace_link(clinic: Clinic, guest: Guest) -> None:
    clinic.do("POST", f"{guest.path}/link")


LINKS = [
    BadLink("unknown", 404, "link_unknown", lambda _c, _g: "a" * 26),
    BadLink("one letter wrong", 404, "link_unknown", lambda _, g: altered(g.code)),
    BadLink("cut short", 404, "link_unknown", lambda _, g: g.code[:-1]),
    BadLink("in capitals", 404, "link_unknown", lambda _, g: g.code.upper()),
    BadLink("too long", 404, "link_unknown", lambda _, g: g.code * 40),
    BadLink("with a NUL", 404, "link_unknown", lambda _, g: f"{g.code}%00"),
    BadLink("expired", 410, "link_expired", unchanged_after(Clinic.expire_link)),
    BadLink("replaced", 410, "link_revoked", unchanged_after(replace_link)),
    BadLink("of a removed person", 403, "participant_removed", unchanged_after(Clinic.remove)),
    BadLink("of an ended session", 410, "session_ended", unchanged_after(end)),
]


def altered(code: str) -> str:
    return ("b" if code[0] == "a" else "a") + code[1:]


@pytest.mark.parametrize("link", LINKS, ids=lambda link: link.name)
def test_a_wrong_link_gives_no_token(clinic: Clinic, link: BadLink) -> None:
    """The page reads the reason, and so does the audit log."""
    code, began = link.spoil(clinic, clinic.guest()), utc_now()

    answer = requests.post(f"{clinic.stack.api_url}/j/{code}/token", timeout=10)

    assert (answer.status_code, answer.json()["code"]) == (link.status, link.code)
    assert answer.headers["content-type"].startswith("application/problem+json")
    assert clinic.audited(began, code=link.code).action == "link.opened"


def test_the_link_of_a_cancelled_session(clinic: Clinic) -> None:
    """Called off before it began."""
    start = utc_now() + timedelta(minutes=1)
    guest = clinic.guest("doctor", clinic.hospital.session(planned_start=start.isoformat()))
    clinic.do("POST", f"/sessions/{guest.session['id']}/cancel")
    began = utc_now()

    answer = requests.post(f"{clinic.stack.api_url}/j/{guest.code}/token", timeout=10)

    assert (answer.status_code, answer.json()["code"]) == (410, "session_cancelled")
    assert clinic.audited(began, code="session_cancelled")


@pytest.mark.parametrize(("starts_in_s", "reason"), [(7200, "too-early"), (60, "waiting-for-host")])
def test_who_must_wait_gets_no_token_yet(clinic: Clinic, starts_in_s: int, reason: str) -> None:
    """Waiting is no refusal, but there is nothing to take away either."""
    start = utc_now() + timedelta(seconds=starts_in_s)
    guest = clinic.guest("patient", clinic.hospital.session(planned_start=start.isoformat()))

    answer = requests.post(f"{clinic.stack.api_url}/j/{guest.code}/token", timeout=10)

    assert answer.status_code == 200
    assert answer.json()["reason"] == reason
    assert "jwt" not in answer.json()


# --- as if they were Prosody


@dataclass(frozen=True, slots=True)
class Stranger:
    """A message to the API that our modules did not send."""

    name: str
    headers: Callable[[Clinic, bytes], Headers]


def good(clinic: Clinic, body: bytes, *, late_s: int = 0) -> Headers:
    secret = clinic.services.settings.room_events_secret[0]
    return sign(str(uuid4()), body, secrets=[secret], now=utc_now() + timedelta(seconds=late_s))


STRANGERS = [
    Stranger("unsigned", lambda _c, _b: {}),
    Stranger("signed with another secret", lambda _, body: sign(
        str(uuid4()), body, secrets=[b"x" * 32], now=utc_now())),
    Stranger("six minutes old", lambda clinic, body: good(clinic, body, late_s=-360)),
    Stranger("from the future", lambda clinic, body: good(clinic, body, late_s=360)),
    Stranger("another body", lambda clinic, body: good(clinic, body + b" ")),
    Stranger("another id", lambda clinic, body: {
        **good(clinic, body), "webhook-id": str(uuid4())}),
    Stranger("time moved on", lambda clinic, body: {
        **good(clinic, body), "webhook-timestamp": str(int(utc_now().timestamp()) + 60)}),
    Stranger("time is no number", lambda clinic, body: {
        **good(clinic, body), "webhook-timestamp": "now"}),
    Stranger("signature is no base64", lambda clinic, body: {
        **good(clinic, body), "webhook-signature": "v1,%%%"}),
    Stranger("another signature version", lambda clinic, body: {
        **good(clinic, body), "webhook-signature": "v2,AAAA"}),
]  # fmt: skip


def message_to(path: str, guest: Guest) -> bytes:
    """Return what Prosody itself would send: would it be taken, somebody got in or was noted."""
    if path == ADMISSION:
        names = {"room": guest.room, "token_room": guest.room, "participant_id": guest.id}
        link = guest.claims["teleconsult"]["link"]
        asked = {"stage": "join", **names, "link_id": link, "token_id": "t"}
        return json.dumps({"questions": [asked]}).encode()
    event = {
        "id": str(uuid4()), "seq": 1, "type": "participant.joined", "room": guest.room,
        "at": utc_now().timestamp(), "participant_id": guest.id, "connection": "c",
    }  # fmt: skip
    return json.dumps({"source": str(uuid4()), "events": [event]}).encode()


@pytest.mark.parametrize("path", [ADMISSION, EVENTS])
@pytest.mark.parametrize("stranger", STRANGERS, ids=lambda stranger: stranger.name)
def test_only_prosody_asks_and_tells(clinic: Clinic, stranger: Stranger, path: str) -> None:
    """Neither an answer about a person nor a line in the attendance without the signature."""
    guest, began = clinic.guest(), utc_now()
    body = message_to(path, guest)

    answer = requests.post(
        clinic.stack.api_url + path, data=body, headers=stranger.headers(clinic, body), timeout=10
    )

    assert (answer.status_code, answer.json()["code"]) == (401, "room_signature_invalid")
    assert clinic.audited(began, path=path).action == "room.signature_refused"
    assert clinic.hospital.read(guest.session)["present"] == []


def test_a_signed_question_is_answered(clinic: Clinic) -> None:
    """Otherwise the refusals above would show nothing."""
    body = message_to(ADMISSION, clinic.guest())

    answer = requests.post(
        clinic.stack.api_url + ADMISSION, data=body, headers=good(clinic, body), timeout=10
    )

    assert [one["allow"] for one in answer.json()["answers"]] == [True]
