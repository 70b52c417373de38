"""A master key that was taken out too early: nothing is lost, and all goes on when it is back."""

from dataclasses import replace

from cryptography.fernet import Fernet

from app.encryption import Vault
from app.factory import create_app
from app.files import checking
from app.recording_files import processing
from app.services import Services
from app.storage.service import Storage
from tests.api import samples
from tests.api.filing import Filing
from tests.api.recorded import folder_of, shown
from tests.api.recorder import Recorder
from tests.api.records import alter
from tests.api.test_file_checks import try_again
from tests.api.test_recording_work import PAST, sent
from tests.api.test_recordings import Call
from workers.jobs.recordings import process


def without_key(services: Services) -> Services:
    """Return the service with another master key than its files were encrypted with."""
    vault = Vault([Fernet.generate_key().decode()])
    return replace(services, storage=Storage(services.storage.store, vault))


def test_a_file_is_not_handed_out_meanwhile(filing: Filing) -> None:
    """Whoever asks may come again, and has not seen it; the place is free again, too."""
    file = filing.share("report", samples.pdf())
    doctor = filing.person("doctor")
    link = doctor.call("POST", f"/{file['id']}/link", json={}).get_json()
    there = replace(filing, app=create_app(without_key(filing.services)))
    # More often than there are places for files.
    for _ in range(5):
        refused = there.fetch(link)
        assert (refused.status_code, refused.get_json()["code"]) == (503, "master_key_missing")
        assert refused.content_type == "application/problem+json"
        assert int(refused.headers["Retry-After"]) > 0
    assert filing.read(file["id"])["seen_by"] == []
    assert filing.fetch(link).get_data() == samples.pdf()


def test_a_file_waits_to_be_checked(filing: Filing) -> None:
    """However long: it is nobody's fault that has to send it again."""
    announced = filing.announce("report", samples.pdf()).get_json()
    filing.send(announced, samples.pdf())
    away = without_key(filing.services)
    for _ in range(checking.MOST_TRIES + 2):
        try_again(filing, announced["id"], storage=away.storage)
        waits = filing.read(announced["id"])
        assert (waits["state"], waits["reason"]) == ("scanning", "master_key_missing")
    try_again(filing, announced["id"])
    assert filing.content(announced["id"]) == samples.pdf()


def test_work_on_a_recording_waits(call: Call, recorder: Recorder, plain: bytes) -> None:
    """As for a store that is away: it says why, and no try is lost."""
    folder = folder_of(call)
    sent(recorder, plain, folder)
    away = without_key(recorder.services)
    for _ in range(processing.MOST_TRIES + 2):
        process(away, recorder.row(folder).id)
        assert (shown(call)["state"], shown(call)["reason"]) == ("processing", "master_key_missing")
        assert recorder.row(folder).tries == 0
        alter(call.services, PAST.format("recording_files"), folder=folder)
    recorder.work(folder)
    assert call.stands == ("available", None)
    assert recorder.content(recorder.row(folder).content_id) == plain
