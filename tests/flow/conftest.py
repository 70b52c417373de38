"""The whole stack, and a hospital that uses it."""

from collections.abc import Iterator

import pytest

from app.localstack.supervisor import LocalStack
from tests.conftest import services_of
from tests.flow.clinic import Clinic
from tests.stack_client import sign_in


@pytest.fixture(scope="session")
def clinic(stack: LocalStack, demo: dict[str, str]) -> Iterator[Clinic]:
    """The demo hospital, with a look behind the scenes."""
    services = services_of(stack)
    # Not the fixture `hospital`: another module of this folder has its own by that name.
    program = sign_in(stack, demo["client_id"], demo["client_secret"])
    yield Clinic(stack, program, services)
    services.database.dispose()
    services.redis.close()
