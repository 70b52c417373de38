"""`teleconsult_admission_when_down = "token"`: without the API calls go on, by its last word."""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta

import pytest

from app.clock import utc_now
from app.localstack import LocalStack
from app.localstack.prosody import ProsodyOptions
from tests.conftest import AUDIT, services_of
from tests.flow.clinic import Clinic, Guest
from tests.flow.xmpp_client import Refused, logged_in
from tests.stack_client import sign_in

# No gateway: the rooms hear of nothing that the service decides, as when Redis is away.
PARTS = ("postgres", "redis", "prosody", "focus", "api")


@pytest.fixture(scope="module")
def clinic(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clinic]:
    """A hospital whose Prosody lets people in by their token while the API is down."""
    options = ProsodyOptions(extra={"teleconsult_admission_when_down": "token"})
    folder = tmp_path_factory.mktemp("token")
    with LocalStack(folder, parts=PARTS, durable=False, env=AUDIT, prosody=options) as stack:
        demo = json.loads(stack.run("demo", "--json").splitlines()[-1])
        program = sign_in(stack, demo["client_id"], demo["client_secret"])
        services = services_of(stack)
        yield Clinic(stack, program, services)
        services.database.dispose()
        services.redis.close()


async def outcome(clinic: Clinic, guest: Guest) -> str:
    """Return why somebody is not let in, or ''."""
    async with logged_in(clinic.port, guest.token) as client:
        try:
            await client.enter(guest.room)
        except Refused as refused:
            return refused.code
    return ""


@asynccontextmanager
async def api_stopped(clinic: Clinic) -> AsyncIterator[None]:
    """Nobody answers the rooms meanwhile."""
    api = clinic.stack.part("api")
    await asyncio.to_thread(api.stop)
    try:
        yield
    finally:
        await asyncio.to_thread(api.start)


def test_without_the_api_tokens_open_except_those_it_refused(clinic: Clinic) -> None:
    """A removal, a replaced link and an end of which the rooms heard nothing but that answer."""
    doctor, ended = clinic.guest("doctor"), clinic.guest("doctor")
    patient, removed, replaced = (clinic.guest("patient", doctor.session) for _ in range(3))
    clinic.do("DELETE", removed.path)
    clinic.do("POST", f"{replaced.path}/link", json={})
    clinic.do("POST", f"/sessions/{ended.session['id']}/end")
    refused = {"removed": removed, "link-revoked": replaced, "session-ended": ended}

    async def story() -> None:
        async with logged_in(clinic.port, doctor.token) as host:
            await host.enter(doctor.room)
            for code, guest in refused.items():
                assert await outcome(clinic, guest) == code
            async with api_stopped(clinic):
                assert await outcome(clinic, patient) == ""
                assert await outcome(clinic, removed) == "unavailable"
                assert await outcome(clinic, replaced) == "unavailable"
                assert await outcome(clinic, ended) == "session-ended"

    asyncio.run(story())


def test_a_link_that_lives_again_opens_without_the_api(clinic: Clinic) -> None:
    """The session of a link that had run out was put off, and the API let its person in since."""
    start = utc_now()
    plan = {"planned_start": start.isoformat()}
    doctor = clinic.guest("doctor", clinic.hospital.session(**plan))
    patient = clinic.guest("patient", doctor.session)
    path = f"/sessions/{doctor.session['id']}"

    async def story() -> None:
        clinic.expire_link(patient)
        assert await outcome(clinic, patient) == "link-expired"
        # Before a host comes, which starts the session.
        tag = {"If-Match": clinic.do("GET", path).headers["ETag"]}
        later = {"planned_start": (start + timedelta(minutes=1)).isoformat()}
        clinic.do("PATCH", path, json=later, headers=tag)
        async with logged_in(clinic.port, doctor.token) as host:
            await host.enter(doctor.room)
            assert await outcome(clinic, patient) == ""
            async with api_stopped(clinic):
                assert await outcome(clinic, patient) == ""

    asyncio.run(story())


def test_an_api_that_was_away_at_the_login_is_asked_again(clinic: Clinic) -> None:
    """The token alone would let them in."""
    guest = clinic.guest("doctor")

    async def story() -> None:
        async with AsyncExitStack() as later:
            async with api_stopped(clinic):
                client = await later.enter_async_context(logged_in(clinic.port, guest.token))
            clinic.do("DELETE", guest.path)
            with pytest.raises(Refused) as refused:
                await client.enter(guest.room)
            assert refused.value.code == "removed"

    asyncio.run(story())
