"""The application in this process, over real PostgreSQL; each test has organisations of its own."""

from collections.abc import Iterator

import pytest
from flask import Flask

from app.adapters.memory import MemoryRooms
from app.adapters.scanner_clamd import Clamd
from app.factory import create_app
from app.localstack.clamd import Clamd as ClamdPart
from app.localstack.ports import Ports
from app.localstack.supervisor import LocalStack
from app.services import Services
from tests.api.filing import Archive, Filing, archive_of
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import Prosody


@pytest.fixture(scope="session")
def app(services: Services) -> Flask:
    """The application."""
    return create_app(services)


@pytest.fixture
def alice(app: Flask, services: Services) -> Hospital:
    """The hospital that owns what the test is about."""
    return admit_hospital(app, services, "Alice Hospital")


@pytest.fixture
def charlie(app: Flask, services: Services) -> Hospital:
    """Another hospital, which must see nothing of Alice's."""
    return admit_hospital(app, services, "Charlie Clinic")


@pytest.fixture
def live(services: Services) -> Iterator[MemoryRooms]:
    """The live rooms of the application, in memory; its gateway runs again after the test."""
    rooms = services.rooms
    assert isinstance(rooms, MemoryRooms)
    yield rooms
    rooms.alive = True


@pytest.fixture
def prosody(app: Flask, services: Services) -> Prosody:
    """A run of Prosody that tells the application what happens in the rooms."""
    return Prosody(app, services, services.settings.room_events_secret[0])


@pytest.fixture(scope="session")
def scanner(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Clamd]:
    """A real ClamAV daemon with a signature of our own, for the test file of EICAR."""
    claims = Ports()
    part = ClamdPart(tmp_path_factory.mktemp("clamd"), port=claims.choose())
    part.start()
    yield Clamd(f"127.0.0.1:{part.port}")
    part.stop()
    claims.release()


@pytest.fixture(scope="session")
def archive(
    services: Services, scanner: Clamd, tmp_path_factory: pytest.TempPathFactory
) -> Archive:
    """An application whose files lie in a folder, and are looked at by a real scanner."""
    return archive_of(services, tmp_path_factory.mktemp("files"), scanner)


@pytest.fixture
def filing(archive: Archive, alice: Hospital) -> Filing:
    """An open session of Alice's, whose people share files."""
    return archive.session_of(alice)


@pytest.fixture
def alone(postgres: LocalStack) -> None:
    """No session of an earlier test is due: a sweep in the future would look at all of them."""
    with postgres.postgres.as_admin() as admin:
        admin.execute("UPDATE teleconference.sessions SET due_at = NULL WHERE due_at IS NOT NULL")
