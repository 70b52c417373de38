"""The application in this process, over real PostgreSQL; each test has organisations of its own."""

from collections.abc import Iterator
from pathlib import Path

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
from tests.api.in_call import InCall, enter
from tests.api.prosody import Prosody, prosody_of
from tests.api.recorded import recorded
from tests.api.recorder import Recorder, film, recorder_of
from tests.api.test_recordings import Call


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
    return prosody_of(app, services)


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
def call(alice: Hospital, services: Services, prosody: Prosody) -> Call:
    """A call that was recorded."""
    return recorded(alice, services, prosody)


@pytest.fixture(scope="session")
def films(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where films are made."""
    return tmp_path_factory.mktemp("films")


@pytest.fixture(scope="session")
def plain(films: Path) -> bytes:
    """A film as Jibri leaves it."""
    return film(films / "plain.mp4")


@pytest.fixture
def recorder(services: Services, tmp_path: Path) -> Recorder:
    """A recorder whose files lie in a folder of their own."""
    return recorder_of(services, tmp_path)


@pytest.fixture
def alone(postgres: LocalStack) -> None:
    """No session of an earlier test is due: a sweep in the future would look at all of them."""
    with postgres.postgres.as_admin() as admin:
        admin.execute("UPDATE teleconference.sessions SET due_at = NULL WHERE due_at IS NOT NULL")


@pytest.fixture
def doctor(filing: Filing, prosody: Prosody) -> InCall:
    """A doctor in the room: whoever else comes in finds a host there."""
    return enter(filing.person("doctor"), prosody)


@pytest.fixture
def patient(doctor: InCall, filing: Filing, prosody: Prosody) -> InCall:
    """A patient in the same room."""
    return enter(filing.person("patient"), prosody, meeting=doctor.meeting)
