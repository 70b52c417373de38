"""`teleconsult_admission_when_down = "token"`: without the API calls go on, by its last word."""

import asyncio
import json
from collections.abc import Iterator

import pytest

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


def test_without_the_api_tokens_open_except_those_it_refused(clinic: Clinic) -> None:
    """A removal, a replaced link and an end of which the rooms heard nothing but that answer."""
    doctor, ended = clinic.guest("doctor"), clinic.guest("doctor")
    patient, removed, replaced = (clinic.guest("patient", doctor.session) for _ in range(3))
    clinic.do("DELETE", removed.path)
    clinic.do("POST", f"{replaced.path}/link", json={})
    clinic.do("POST", f"/sessions/{ended.session['id']}/end")
    refused = {"removed": removed, "link-revoked": replaced, "session-ended": ended}
    api = clinic.stack.part("api")

    async def story() -> None:
        async with logged_in(clinic.port, doctor.token) as host:
            await host.enter(doctor.room)
            for code, guest in refused.items():
                assert await outcome(clinic, guest) == code
            await asyncio.to_thread(api.stop)
            assert await outcome(clinic, patient) == ""
            assert await outcome(clinic, removed) == "unavailable"
            assert await outcome(clinic, replaced) == "unavailable"
            assert await outcome(clinic, ended) == "session-ended"

    asyncio.run(story())
