"""Streams: whatever dies, a follower sees each event once and in order; pages see their state."""

import socket
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import requests
from sqlalchemy import select
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.orm import Session

from app.access import staff
from app.clock import utc_now
from app.events import service as events
from app.events.models import Event
from app.localstack import LocalStack
from app.organisations import clients
from app.stream.pages import LOOK_AGAIN_S
from app.web.auth import SCOPES
from app.web.cookies import STAFF
from tests.api.signed_in import sign_staff_in
from tests.conftest import AUDIT, services_of
from tests.flow.delivery import Hospital, eventually
from tests.flow.listener import Follower
from tests.stack_client import StackClient, sign_in

PARTS = ("postgres", "redis", "api", "stream", "relay")
# Sooner than a page or a desk looks again of itself.
PUSHED_WITHIN_S = LOOK_AGAIN_S - 3
SESSIONS, EVENTS = 4, 25


@dataclass
class House:
    """A hospital with its program, beside a stack whose parts may be killed."""

    stack: LocalStack
    hospital: Hospital
    program: StackClient

    def follow(self, path: str = "/stream/events?after=0", *, with_token: bool = True) -> Follower:
        """Follow a stream."""
        return Follower(self.stack.stream_url + path, self.program.token if with_token else "")

    def ring(self, token: str) -> Follower:
        """Follow what a clinic's page follows."""
        return Follower(f"{self.stack.stream_url}/stream/visits", cookie=f"{STAFF}={token}")

    def get(self, path: str, **headers: str) -> requests.Response:
        """Ask the stream's process, without staying."""
        url = self.stack.stream_url + path
        return requests.get(url, headers=headers, timeout=10)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """What streams need and nothing else, so that these tests can kill any of it."""
    with LocalStack(
        tmp_path_factory.mktemp("streams"), parts=PARTS, durable=False, env=AUDIT
    ) as running:
        yield running


@pytest.fixture
def house(stack: LocalStack) -> Iterator[House]:
    """A hospital of the test's own."""
    services = services_of(stack)
    hospital = Hospital(services)
    yield House(stack, hospital, program_of(stack, hospital, *SCOPES))
    services.database.dispose()
    services.redis.close()


def program_of(stack: LocalStack, hospital: Hospital, *scopes: str) -> StackClient:
    """Return a program of the hospital with these scopes."""
    with hospital.services.database.begin() as db:
        made = clients.create_client(
            db, organisation_id=hospital.id, name="EHR", scopes=scopes, now=utc_now()
        )
    return sign_in(stack, str(made.client.id), made.secret)


def test_what_happens_is_pushed_with_its_position(house: House) -> None:
    """Who comes without an id hears from now on; the message is what the feed and webhooks say."""
    before = house.hospital.session().id
    eventually(lambda: house.hospital.is_handed_on(before), "what was before")
    with house.follow("/stream/events") as late, house.follow() as whole:
        eventually(lambda: bool(late.after and len(whole.got) == 1), "both listen")
        session = house.hospital.session()
        eventually(lambda: len(late.got) == 1, "the event")
        (message,) = late.got
        assert message.data["type"] == message.event == "session.created"
        assert message.data["data"]["session_id"] == str(session.id)
        eventually(lambda: len(whole.got) == 2, "the same for the other")
        assert whole.got[-1] == message


def test_filters(house: House) -> None:
    """By pattern and by session, in what was missed and live."""
    session, other = house.hospital.session(), house.hospital.session()
    house.hospital.invite(session, None)
    with (
        house.follow("/stream/events?after=0&types=participant.*") as people,
        house.follow(f"/stream/events?after=0&session_id={other.id}") as one,
    ):
        eventually(lambda: len(people.got) == 1 and len(one.got) == 1, "what was missed")
        house.hospital.invite(other, None)
        eventually(lambda: len(people.got) == 2 and len(one.got) == 2, "what is new")
        assert {m.event for m in people.got} == {"participant.invited"}
        assert {m.data["data"]["session_id"] for m in one.got} == {str(other.id)}


@pytest.mark.parametrize("victim", ["stream", "relay", "postgres"])
def test_a_follower_sees_each_event_once_whoever_is_killed(house: House, victim: str) -> None:
    """kill -9 twice while events flow; the follower comes back by its last id."""
    sessions = [house.hospital.session().id for _ in range(SESSIONS)]
    part, made = house.stack.part(victim), SESSIONS

    def commit() -> None:
        nonlocal made
        for number in range(SESSIONS * EVENTS):
            for _ in range(100):
                try:
                    house.hospital.happen(sessions[number % SESSIONS])
                    break
                except SQLAlchemyError:  # the database is away for a moment
                    time.sleep(0.05)
            made += 1

    with house.follow() as follower:
        eventually(lambda: len(follower.got) >= SESSIONS, "a beginning")
        thread = threading.Thread(target=commit)
        thread.start()
        for share in (0.2, 0.6):
            eventually(lambda s=share: made > s * SESSIONS * EVENTS, "some events")  # type: ignore[misc]
            part.kill()
            part.start()
        thread.join()
        # An event whose commit was cut off may have been made twice, never a message.
        with house.hospital.services.database.begin() as db:
            expected = numbers_in(db, house)
        eventually(lambda: len(follower.got) >= sum(map(len, expected.values())), "all of them")
    seen: dict[str, list[int]] = {}
    for message in follower.got:
        seen.setdefault(message.data["data"]["session_id"], []).append(message.data["sequence"])
    assert seen == expected
    positions = [int(message.id) for message in follower.got]
    assert positions == sorted(set(positions))


def numbers_in(db: Session, house: House) -> dict[str, list[int]]:
    """Return the sequence numbers of each session of a hospital."""
    found: dict[str, list[int]] = {}
    query = select(Event.session_id, Event.sequence).where(
        Event.organisation_id == house.hospital.id
    )
    for session_id, sequence in db.execute(query.order_by(Event.session_id, Event.sequence)):
        found.setdefault(str(session_id), []).append(sequence)
    return found


def test_a_slow_reader_is_closed_and_comes_back_by_its_id(house: House) -> None:
    """It costs no memory while it takes nothing, and misses nothing afterwards."""
    session = house.hospital.session().id
    eventually(lambda: house.hospital.is_handed_on(session), "the event of its creation")
    address = ("127.0.0.1", house.stack.ports["stream"])
    slow = socket.create_connection(address)
    slow.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    head = f"GET /stream/events HTTP/1.1\r\nhost: s\r\nauthorization: Bearer {house.program.token}"
    slow.sendall(f"{head}\r\n\r\n".encode())
    slow.settimeout(20)
    first = b""
    while b"retry: " not in first:
        first += slow.recv(4096)
    last_id = first.partition(b"id: ")[2].split()[0].decode()
    wide = {"reference": "x" * 3000}
    with house.hospital.services.database.begin(house.hospital.id) as db:
        for _ in range(2500):
            events.append(db, "session.updated", session_id=session, data=wide, now=utc_now())
    eventually(lambda: listeners(house) == 0, "the end of the slow one", within_s=40)
    slow.close()
    with house.follow(f"/stream/events?after={last_id}") as again:
        eventually(lambda: len(again.got) == 2500, "all it missed")
        assert [m.data["sequence"] for m in again.got] == list(range(2, 2502))


def listeners(house: House) -> int:
    """Return how many listen."""
    return int(house.get("/health").json()["listeners"])


def test_a_page_gets_its_state_at_once_and_when_it_changes(house: House) -> None:
    """Exactly as it could ask for it."""
    session = house.program.session()
    code = house.program.invite(session, "patient")["link"].rsplit("/", 1)[1]
    with house.follow(f"/stream/j/{code}", with_token=False) as page:
        eventually(lambda: len(page.got) == 1, "the state")
        asked = requests.get(f"{house.stack.api_url}/j/{code}/state", timeout=10)
        assert page.got[0].event == "state"
        assert list(page.got[0].data.items()) == list(asked.json().items())
        assert page.got[0].data["reason"] == "waiting-for-host"
        house.program.call("POST", f"/sessions/{session['id']}/end")
        eventually(lambda: len(page.got) == 2, "the next state", within_s=PUSHED_WITHIN_S)
        assert page.got[1].data["reason"] == "session-ended"


def test_pages_survive_a_database_that_restarts(house: House) -> None:
    """The connection stays, and the next change comes through it."""
    session = house.program.session()
    code = house.program.invite(session, "patient")["link"].rsplit("/", 1)[1]
    with house.follow(f"/stream/j/{code}", with_token=False) as page:
        eventually(lambda: len(page.got) == 1, "the state")
        house.stack.postgres.kill()
        house.stack.postgres.start()
        end = f"/sessions/{session['id']}/end"
        eventually(lambda: house.program.call("POST", end).status_code < 300, "the API")
        eventually(lambda: len(page.got) == 2, "the next state")
        assert (page.got[1].data["reason"], page.connections) == ("session-ended", 1)


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/stream/j/nobodyslink", 404, "link_unknown"),
        ("/stream/events", 401, "token_missing"),
        ("/stream/visits", 401, "token_missing"),
        ("/stream/events?after=x", 422, "cursor_invalid"),
        ("/stream/events?types=participant.exploded", 422, "invalid_request"),
        ("/stream/events?session_id=x", 422, "invalid_request"),
        ("/stream/events?colour=green", 422, "invalid_request"),
    ],
)
def test_what_is_refused(house: House, path: str, status: int, code: str) -> None:
    """As the API refuses: a problem document, nothing streamed."""
    answer = house.get(path)
    assert (answer.status_code, answer.json()["code"]) == (status, code)
    assert answer.headers["content-type"] == "application/problem+json"


def test_listening_needs_the_scope_and_shows_one_organisation(house: House) -> None:
    """403 without; another hospital's feed is another."""
    other = program_of(house.stack, house.hospital, "webhooks:manage")
    refused = house.get("/stream/events", Authorization=f"Bearer {other.token}")
    assert (refused.status_code, refused.json()["code"]) == (403, "scope_missing")
    stranger = Hospital(house.hospital.services)
    house.hospital.session()
    with house.follow() as mine:
        eventually(lambda: len(mine.got) == 1, "my event")
        stranger.session()
        house.hospital.session()
        eventually(lambda: len(mine.got) == 2, "my next event")
        assert {m.data["organisation_id"] for m in mine.got} == {str(house.hospital.id)}


def test_only_pages_of_ours_may_read_it_in_a_browser(house: House) -> None:
    """CORS names one origin exactly."""
    session = house.program.session()
    code = house.program.invite(session, "patient")["link"].rsplit("/", 1)[1]
    for origin, allowed in (
        (house.stack.public_url, house.stack.public_url),
        ("http://evil.example", None),
    ):
        url = f"{house.stack.stream_url}/stream/j/{code}"
        with requests.get(url, headers={"Origin": origin}, timeout=10, stream=True) as answer:
            assert answer.headers.get("Access-Control-Allow-Origin") == allowed
            assert answer.headers["Cache-Control"] == "no-store"
            assert answer.headers.get("Access-Control-Allow-Credentials") == "true"


def test_the_clinics_page_is_rung_for_as_long_as_its_reader_is_signed_in(house: House) -> None:
    """At once, at what its own hospital does, and not to keep anybody signed in."""
    services, stranger = house.hospital.services, Hospital(house.hospital.services)
    token = sign_staff_in(services, house.hospital.id, ["appointments:read"])
    with house.ring(token) as desk, house.ring(token) as other:
        eventually(lambda: len(desk.got) == 1, "the first ring")
        stranger.session()
        house.hospital.session()
        eventually(lambda: len(desk.got) == 2, "the hospital's own", within_s=PUSHED_WITHIN_S)
        assert {(message.event, str(message.data)) for message in desk.got} == {("changed", "{}")}
        with services.database.begin() as db:
            staff.sign_out(db, token=token, now=utc_now())
        house.hospital.session()
        eventually(lambda: listeners(house) == 0, "the end of both")
        assert (desk.connections, other.connections) == (1, 1)


@pytest.mark.parametrize(
    ("scopes", "headers", "status"),
    [
        (["appointments:read"], {}, 200),
        (["appointments:read"], {"Sec-Fetch-Site": "same-site"}, 401),
        (["appointments:read"], {"Sec-Fetch-Site": "same-site", "Origin": "{ours}"}, 200),
        (["appointments:read"], {"Sec-Fetch-Site": "cross-site", "Origin": "http://a.b"}, 401),
        (["events:read"], {}, 403),
    ],
)
def test_whom_a_cookie_opens_the_clinics_stream_for(
    house: House, scopes: list[str], headers: dict[str, str], status: int
) -> None:
    """Our own page, wherever the stream is, and who may see appointments; no other site's."""
    token = sign_staff_in(house.hospital.services, house.hospital.id, scopes)
    shown = {name: value.format(ours=house.stack.public_url) for name, value in headers.items()}
    with requests.get(
        f"{house.stack.stream_url}/stream/visits",
        headers={**shown, "Cookie": f"{STAFF}={token}"},
        stream=True,
        timeout=10,
    ) as answer:
        assert answer.status_code == status
