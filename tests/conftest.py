"""Real servers for the tests. Each pytest-xdist worker has its own, started when first needed."""

import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.events.members import data_schema
from app.events.types import EVENT_TYPES
from app.localstack import names
from app.localstack.supervisor import BACKING, SERVICES, LocalStack
from app.organisations import keys
from app.services import Services
from app.settings import Settings
from app.wiring import build_services
from tests.proxy import Proxy
from tests.stack_client import StackClient, sign_in

# Tests that use the whole stack share one, so they run one after the other in one worker. A file
# with servers or a browser of its own stays together, too, but may run in any worker.
WHOLE_STACK_FOLDERS = {"flow", "browser"}
OWN_SERVERS_FOLDERS = {"localstack", "pages"}
OWN_SERVERS_FILES = ("test_delivery", "test_streams")
# A dead worker's claims run out soon, so that the tests of kill -9 need not wait a minute.
QUICK = {
    "DELIVERY_LEASE_S": "3",
    "NOTIFICATION_TIMEOUT_S": "2",
    "DIRECTORY_TIMEOUT_S": "1",
}
# A process has one key for its audit entries, and this one works on several stacks.
AUDIT = {"AUDIT_KEYS": f"tests:{b64encode(bytes(32)).decode()}"}


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Keep together what shares servers, so that they are started once."""
    for item in items:
        folder, file = item.path.parent.name, item.path.stem
        has_own = folder in OWN_SERVERS_FOLDERS or file.startswith(OWN_SERVERS_FILES)
        if has_own:
            item.add_marker(pytest.mark.xdist_group(f"{folder}/{file}"))
        elif folder in WHOLE_STACK_FOLDERS:
            item.add_marker(pytest.mark.xdist_group("stack"))


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A PostgreSQL of this worker's own, with the schema made by the migrations."""
    folder = tmp_path_factory.mktemp("postgres")
    env = {**AUDIT, "DIRECTORY_TIMEOUT_S": "1"}
    with LocalStack(folder, parts={"postgres"}, durable=False, env=env) as stack:
        stack.migrate()
        yield stack
        check_events(stack)


@pytest.fixture(scope="session")
def services(postgres: LocalStack) -> Iterator[Services]:
    """The service's collaborators on real PostgreSQL; the live rooms are the memory twin."""
    built = services_of(postgres)
    with built.database.begin() as db:
        keys.rotate(db, built.vault, token_ttl=keys.PUBLISH_AHEAD, now=utc_now())
    yield replace(built, rooms=MemoryRooms())
    built.database.dispose()


@pytest.fixture(scope="session")
def network() -> Iterator[Proxy]:
    """The network between the browsers and Prosody, which tests may cut."""
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def post() -> Iterator[Proxy]:
    """The network between the workers and the mail server."""
    with Proxy() as proxy:
        yield proxy


@pytest.fixture(scope="session")
def stack(
    tmp_path_factory: pytest.TempPathFactory, network: Proxy, post: Proxy
) -> Iterator[LocalStack]:
    """Everything: PostgreSQL, Redis, Prosody, focus, coturn, mail, API, relay, worker, gateway."""
    folder = tmp_path_factory.mktemp("stack")
    websocket = f"ws://{names.DOMAIN}:{network.port}/xmpp-websocket"
    whole = LocalStack(
        folder,
        parts={*BACKING, *SERVICES},
        durable=False,
        env={
            "JITSI_WEBSOCKET_URL": websocket,
            "SMTP_PORT": str(post.port),
            **QUICK,
            **AUDIT,
        },
    )
    post.target_port = whole.ports["mail"]
    network.target_port = whole.ports["prosody_http"]
    with whole:
        yield whole
        check_events(whole)


@pytest.fixture(scope="session")
def demo(stack: LocalStack) -> dict[str, str]:
    """The demo hospital of the whole stack: credentials and links."""
    return dict(json.loads(stack.run("demo", "--json").splitlines()[-1]))


@pytest.fixture(scope="session")
def hospital(stack: LocalStack, demo: dict[str, str]) -> StackClient:
    """The demo hospital's program."""
    return sign_in(stack, demo["client_id"], demo["client_secret"])


def check_events(stack: LocalStack) -> None:
    """Hold every event that the tests caused against the schema of its type."""
    with stack.postgres.as_admin() as admin:
        admin.execute("SELECT DISTINCT type, data FROM teleconference.events")
        caused = admin.fetchall()
    schemas = {name: Draft202012Validator(data_schema(t)) for name, t in EVENT_TYPES.items()}
    for type_, data in caused:
        schemas[type_].validate(data)


def services_of(stack: LocalStack) -> Services:
    """Return collaborators with a stack's settings, for this process."""
    with pytest.MonkeyPatch.context() as environment:
        for name, value in stack.environment.items():
            environment.setenv(name, value)
        settings = Settings.from_env()
    return build_services(settings, application="teleconsult-tests")


def repository() -> Path:
    """Return the top of the checkout."""
    return Path(__file__).resolve().parents[1]
