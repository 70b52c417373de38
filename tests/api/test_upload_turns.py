"""Two senders of one file: the second is turned away, and the file is the first one's."""

import time
from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from threading import Event, Thread
from uuid import uuid4

import pytest
from redis import Redis

from app.adapters.turns_redis import LASTS_S, PREFIX, RedisTurns
from app.audit.service import Actor
from app.clock import utc_now
from app.errors import Locked
from app.factory import create_app
from app.files.turns import sending
from app.files.uploads import Upload
from app.localstack.supervisor import LocalStack
from app.storage.arriving import Read
from tests.api import samples
from tests.api.filed import row_of
from tests.api.filing import Filing
from tests.api.in_call import begin, enter
from tests.api.prosody import Prosody

WAIT_S = 20.0


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A Redis of this module's own."""
    with LocalStack(tmp_path_factory.mktemp("redis"), parts={"redis"}, durable=False) as stack:
        yield stack


@pytest.fixture
def redis(server: LocalStack) -> Iterator[Redis]:
    """It, empty."""
    client = Redis.from_url(server.redis.url)
    client.flushall()
    yield client
    client.close()


def test_a_turn_is_one_holders_until_the_block_ends(redis: Redis) -> None:
    """Of another name it is another turn."""
    turns, others = RedisTurns(redis), RedisTurns(redis)
    with turns.turn("a") as mine, others.turn("a") as theirs, others.turn("b") as another:
        assert mine is not None
        assert theirs is None
        assert another is not None
    with others.turn("a") as theirs:
        assert theirs is not None


def test_a_living_holders_turn_goes_on(redis: Redis) -> None:
    """The key in Redis has an end, which who holds it moves on."""
    key = f"{PREFIX}:a"
    with RedisTurns(redis, renewed_after_s=0.0).turn("a") as go_on:
        assert go_on is not None
        assert 0 < redis.pttl(key) <= LASTS_S * 1000
        redis.pexpire(key, 2000)
        go_on()
        assert redis.pttl(key) > 2000
    assert not redis.exists(key)


def test_a_dead_holders_turn_is_the_next_ones(redis: Redis) -> None:
    """And who comes back to life takes nothing from them."""
    dead, next_one = RedisTurns(redis, renewed_after_s=0.0), RedisTurns(redis)
    with dead.turn("a") as go_on:
        assert go_on is not None
        redis.pexpire(f"{PREFIX}:a", 1)
        until = time.monotonic() + WAIT_S
        while redis.exists(f"{PREFIX}:a") and time.monotonic() < until:
            pass
        with next_one.turn("a") as theirs:
            assert theirs is not None
            go_on()
            with dead.turn("a") as again:
                assert again is None


def test_without_redis_nobody_is_held_back(redis: Redis) -> None:
    """The database decides then, as it always does."""
    away = RedisTurns(Redis.from_url("redis://127.0.0.1:9"))
    with away.turn("a") as mine, away.turn("a") as theirs:
        assert mine is not None
        assert theirs is not None


class Slow:
    """A sender who waits before the first bytes until it is let go on."""

    def __init__(self, content: bytes) -> None:
        self._content = BytesIO(content)
        self.begun, self.may_go_on = Event(), Event()

    def read(self, most: int) -> bytes:
        """Return the next bytes."""
        self.begun.set()
        assert self.may_go_on.wait(WAIT_S)
        return self._content.read(most)


def test_the_second_sender_is_turned_away_and_the_first_goes_on(
    filing: Filing, redis: Redis
) -> None:
    """Nothing of the second is in the file."""
    content = samples.pdf(size=300_000)
    row = row_of(filing, filing.announce("report", content).get_json()["id"])
    turns = RedisTurns(redis)

    def send(read: Read) -> int:
        upload = Upload(
            filing.services.database,
            filing.services.storage,
            organisation_id=row.organisation_id,
            file_id=row.id,
            actor=Actor(row.shared_by_kind, row.shared_by),
        )
        with sending(turns, row.id, read) as taken:
            return upload.append(taken, offset=0, length=len(content), now=utc_now())

    first = Slow(content)
    first_sends = Thread(target=send, args=(first.read,))
    first_sends.start()
    assert first.begun.wait(WAIT_S)
    with pytest.raises(Locked) as refused:
        send(lambda most: b"other bytes")
    assert (refused.value.code, refused.value.retryable) == ("upload_busy", True)
    first.may_go_on.set()
    first_sends.join(WAIT_S)
    filing.check(str(row.id))
    assert filing.content(str(row.id)) == content


def test_jitsis_client_takes_nothing_from_who_sends_the_same_file(
    filing: Filing, prosody: Prosody, redis: Redis
) -> None:
    """They are told to come back, and the file stays the first one's."""
    services = replace(filing.services, turns=RedisTurns(redis))
    turning = replace(filing, services=services, app=create_app(services))
    doctor = enter(turning.person("doctor"), prosody)
    content, file_id = samples.pdf(size=300_000), str(uuid4())
    begun = begin(doctor, content, file_id)
    with services.turns.turn(f"upload:{begun}"):
        busy = doctor.send(content, file_id=file_id)
    assert (busy.status_code, busy.get_json()["code"]) == (423, "upload_busy")
    assert turning.read(begun)["state"] == "uploading"
    assert doctor.send(content, file_id=file_id).status_code == 200
