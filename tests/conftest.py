"""Real servers for the tests. Each pytest-xdist worker has its own, started when first needed."""

import gc
import json
from base64 import b64encode
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator
from xdist.remote import Producer
from xdist.scheduler import LoadFileScheduling

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

# A worker takes a file at a time, so that what a file starts for itself is started once. The files
# that take a minute or more begin first, then those of the folders whose files take long, and the
# short ones fill up the end, so that no worker is left alone with a long one.
EARLY = (
    # These share a stack, and one of the first looks at its logs before anything was killed.
    "test_delivery", "test_delivery_upkeep", "test_delivery_mail", "test_delivery_crash",
    # These sweep all there is: a second's work while there is nothing, and a minute's later.
    "test_retention", "test_retention_batches",
    "test_crashes", "test_schema", "test_panel", "test_clinic", "test_files",
    "test_directory_reports", "test_playback", "test_running_call", "test_recording",
    "test_up", "test_audit_complete", "test_appointment_life",
)  # fmt: skip
SLOW_FOLDERS = ("flow", "pages", "localstack")
# The files of this folder share a stack that no other file uses, so one worker takes them all.
TOGETHER = "tests/flow/deliveries/"
# A dead worker's claims run out soon, so that the tests of kill -9 need not wait a minute.
QUICK = {
    "DELIVERY_LEASE_S": "3",
    "NOTIFICATION_TIMEOUT_S": "2",
    "DIRECTORY_TIMEOUT_S": "1",
    "RECORDING_LEASE_S": "2",
}
# A process has one key for its audit entries, and this one works on several stacks.
AUDIT = {"AUDIT_KEYS": f"tests:{b64encode(bytes(32)).decode()}"}

# Collecting the tests and generating requests make many objects that stay.
gc.set_threshold(20_000)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest."""
    items.sort(key=lambda item: _turn(item.path))


def pytest_collection_finish() -> None:
    """Keep the collector from looking through all tests and libraries again and again."""
    gc.freeze()


def _turn(file: Path) -> tuple[int, int]:
    order = EARLY.index(file.stem) if file.stem in EARLY else len(EARLY)
    return order, file.parent.name not in SLOW_FOLDERS


class ByFile(LoadFileScheduling):
    """Gives a worker a file, or the files that share a stack."""

    def _split_scope(self, nodeid: str) -> str:
        file = super()._split_scope(nodeid)
        return "together" if file.startswith(TOGETHER) else file


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile:
    """Hand out the tests by file."""
    return ByFile(config, log)


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A PostgreSQL of this worker's own, with the schema made by the migrations."""
    folder = tmp_path_factory.mktemp("postgres")
    # Not less: on a busy machine a service of the tests' own has taken a second to answer.
    env = {**AUDIT, "DIRECTORY_TIMEOUT_S": "3"}
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
