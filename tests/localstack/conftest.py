"""Real parts; Prosody without our modules, because no API answers here."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from app.localstack import LocalStack
from app.localstack.prosody import ProsodyOptions

PLAIN_PROSODY = ProsodyOptions(with_our_modules=False)


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """All backing parts, shared by the tests of one module."""
    folder = tmp_path_factory.mktemp("stack")
    with LocalStack(folder, durable=False, prosody=PLAIN_PROSODY) as running:
        yield running


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """An empty data folder."""
    return tmp_path / "data"
