"""A stack for deliveries alone."""

from collections.abc import Iterator

import pytest

from app.localstack.supervisor import LocalStack
from tests.flow.delivery import IMPATIENT, PARTS


@pytest.fixture(scope="package")
def delivery_stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """What deliveries need and nothing else, so that the tests of them can kill any of it; each
    leaves it running, and has hospitals of its own. It looks for work four times as often as it
    would, so it does not run on beside other tests."""
    folder = tmp_path_factory.mktemp("delivery")
    with LocalStack(folder, parts=PARTS, durable=False, env=IMPATIENT) as running:
        yield running
