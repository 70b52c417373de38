"""Files by the button of Jitsi's own client: the same rules, the same checks, the same list."""

from collections.abc import Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor, wait
from dataclasses import replace
from uuid import uuid4

import pytest

from app.adapters.files_local import LocalFiles
from app.adapters.memory import MemoryRooms
from app.adapters.scanner_clamd import Clamd
from app.factory import create_app
from app.storage.service import Storage
from app.web.places import Places
from app.web.streaming import EXTENSION
from tests.api import samples
from tests.api.filed import actions_of
from tests.api.filing import NO_SCANNER, Filing
from tests.api.in_call import InCall, begin, enter, ids_in, listed
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.records import orders_of


class TestSharing:
    """From the button to everybody's list."""

    @pytest.mark.parametrize(
        ("content", "kind"),
        [
            (samples.phone_photo(), "image"),
            (samples.webp(), "image"),
            (samples.dicom(), "xray"),
            (samples.pdf(), "document"),
        ],
    )
    def test_the_content_says_what_kind_it_is(
        self, patient: InCall, content: bytes, kind: str
    ) -> None:
        """Whatever its name; and it goes through the checks of that kind."""
        file = patient.share(content, name="x.exe")
        assert (file["kind"], file["state"]) == (kind, "available")
        assert file["shared_by"] == patient.person.id
        assert not file["name"].endswith(".exe")

    def test_what_was_shared_there_is_in_the_pages_panel_and_back(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """One list of files, whichever door they came by; position and device are gone."""
        theirs = patient.share(samples.phone_photo(), name="rash.jpg")
        assert doctor.person.sees()[theirs["id"]]["name"] == "rash.jpg"
        report = doctor.person.share("report", samples.pdf(), name="letter.pdf")
        found = {one["id"]: one for one in listed(filing, prosody)}
        assert found[theirs["in_list"]]["shared_by"] == patient.person.id
        assert found[theirs["in_list"]]["shared_by_name"] == "Some patient"
        assert found[report["id"]]["permission"] == "see_reports"
        opened = patient.call("GET", f"/{report['id']}").get_json()
        assert (opened["fileName"], opened["sessionId"]) == ("letter.pdf", patient.meeting)
        fetched = filing.fetch({"url": opened["presignedUrl"]})
        assert fetched.get_data() == samples.pdf()
        photo = doctor.call("GET", f"/{theirs['in_list']}").get_json()
        assert b"Exif" not in filing.fetch({"url": photo["presignedUrl"]}).get_data()
        assert doctor.person.id in [
            one["participant_id"] for one in filing.read(theirs["id"])["seen_by"]
        ]
        assert actions_of(filing, theirs["id"])[:3] == [
            ("file.announced", "participant"),
            ("file.uploaded", "participant"),
            ("file.available", "service"),
        ]

    def test_the_hospitals_file_is_the_hospitals(
        self, filing: Filing, prosody: Prosody, doctor: InCall
    ) -> None:
        """Nobody of the room shared it."""
        filing.share("report", samples.pdf())
        (found,) = listed(filing, prosody)
        assert (found["shared_by"], found["shared_by_name"]) == ("", "Alice Hospital")

    def test_nobody_gets_it_before_it_was_checked(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """With the scanner away it waits; only its sender knows of it, and is told so."""
        sent = patient.send(samples.pdf()).get_json()["fileId"]
        (file,) = filing.hospital.get(filing.files).get_json()["items"]
        filing.check(file["id"], scanner=NO_SCANNER)
        assert ids_in(listed(filing, prosody), pending=True) == {sent}
        problem(patient.call("GET", f"/{sent}"), 409, "file_scanning", "state")
        problem(doctor.call("GET", f"/{sent}"), 409, "file_scanning", "state")
        assert doctor.person.sees() == {}

    def test_what_is_refused_leaves_the_list(
        self, patient: InCall, filing: Filing, prosody: Prosody, live: MemoryRooms
    ) -> None:
        """And its sender hears it in the room, where nobody else hears what it was."""
        live.enter(filing.session["room_name"], patient.person.id)
        file = patient.share(samples.eicar(samples.pdf()), name="secret-name.pdf")
        assert file["state"] == "quarantined"
        assert listed(filing, prosody) == []
        (told,) = live.rooms[filing.session["room_name"]].said
        assert told[0] == patient.person.id
        assert "secret-name" not in told[1]
        problem(patient.call("GET", f"/{file['in_list']}"), 409, "file_quarantined", "state")

    def test_the_room_hears_nothing_of_a_verdict_that_came_too_late(
        self, patient: InCall, filing: Filing, live: MemoryRooms
    ) -> None:
        """Its sender deleted the file while it was looked at: it was not refused."""
        live.enter(filing.session["room_name"], patient.person.id)
        sent = patient.send(samples.pdf()).get_json()["fileId"]
        (file,) = filing.hospital.get(filing.files).get_json()["items"]

        class Late(Clamd):
            """A scanner that takes its time."""

            def scan(self, content: Iterable[bytes]) -> str:
                """Find something, but too late."""
                patient.call("DELETE", f"/{sent}")
                return "Eicar-Signature"

        filing.check(file["id"], scanner=Late("127.0.0.1:9"))
        assert filing.read(file["id"])["state"] == "deleted"
        assert live.rooms[filing.session["room_name"]].said == []

    def test_the_room_hears_of_a_new_file_without_its_name(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody, live: MemoryRooms
    ) -> None:
        """Each who may see it; who shared it knows, and an interpreter sees no picture."""
        enter(filing.person("interpreter"), prosody, meeting=doctor.meeting)
        live.enter(filing.session["room_name"], doctor.person.id)
        patient.share(samples.jpeg(), name="Miller, Anna.jpg")
        assert live.rooms[filing.session["room_name"]].said == [
            (doctor.person.id, "A new file is here: picture.")
        ]
        assert [one.name for one in orders_of(filing.services, filing.session["id"])] == ["files"]

    def test_a_repeat_is_the_same_file(self, patient: InCall, filing: Filing) -> None:
        """Though its client did not hear of the first."""
        file_id = str(uuid4())
        for _ in range(2):
            answer = patient.send(samples.jpeg(), file_id=file_id)
            assert answer.get_json() == {"fileId": file_id}
        assert len(filing.hospital.get(filing.files).get_json()["items"]) == 1

    def test_a_repeat_of_what_was_refused_or_deleted_is_told_so(
        self, patient: InCall, filing: Filing
    ) -> None:
        """It is not there, however often it is sent."""
        file_id = str(uuid4())
        patient.send(samples.jpeg()[:200], file_id=file_id, fileSize=200)
        filing.check(filing.hospital.get(filing.files).get_json()["items"][0]["id"])
        problem(patient.send(samples.jpeg(), file_id=file_id), 409, "file_refused", "state")
        patient.call("DELETE", f"/{file_id}")
        problem(patient.send(samples.jpeg(), file_id=file_id), 409, "file_deleted", "state")

    def test_a_file_whose_bytes_stopped_coming_is_sent_once_more(
        self, patient: InCall, filing: Filing
    ) -> None:
        """A process died over it: nobody else sends it, and what came before stays."""
        content = samples.pdf(size=300_000)
        file_id = str(uuid4())
        begun = begin(patient, content, file_id)
        assert patient.send(samples.jpeg(), file_id=file_id).get_json()["code"] == "file_uploading"
        assert patient.send(content, file_id=file_id).get_json() == {"fileId": file_id}
        filing.check(begun)
        assert filing.content(begun) == content

    def test_under_a_legal_hold_the_sender_hears_what_was_wrong(
        self, patient: InCall, filing: Filing
    ) -> None:
        """Nothing is deleted then; it can be sent once more."""
        filing.hospital.post(f"/sessions/{filing.session['id']}/holds", json={"reason": "incident"})
        content, file_id = samples.pdf(size=300_000), str(uuid4())
        broken = patient.send(content[:200_000], file_id=file_id, fileSize=len(content))
        problem(broken, 422, "upload_incomplete")
        assert patient.send(content, file_id=file_id).status_code == 200

    def test_the_address_is_as_the_service_is_reached(
        self, patient: InCall, filing: Filing
    ) -> None:
        """Whatever a proxy says of how somebody came; at the host they came to."""
        file = patient.share(samples.pdf())
        secure = replace(
            filing.services,
            settings=replace(filing.services.settings, public_url="https://teleconsult.example"),
        )
        app = create_app(secure)
        person = replace(patient.person, filing=replace(filing, services=secure, app=app))
        opened = replace(patient, person=person).call(
            "GET", f"/{file['in_list']}", base_url="http://meet.example"
        )
        url = opened.get_json()["presignedUrl"]
        assert url.startswith("https://meet.example/downloads/")

    def test_without_the_store_nothing_is_shared(
        self, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """Its sender may try again, and nothing of the first try is left."""
        storage = Storage(LocalFiles("/dev/null/there"), filing.services.vault)
        without = replace(filing.services, storage=storage)
        away = replace(filing, services=without, app=create_app(without))
        sender = replace(doctor, person=replace(doctor.person, filing=away))
        answer = sender.send(samples.pdf())
        assert (answer.status_code, answer.get_json()["code"]) == (503, "storage_unavailable")
        assert answer.get_json()["retryable"]
        assert listed(filing, prosody) == []
        assert doctor.send(samples.pdf()).status_code == 200

    def test_two_sessions_may_have_the_same_id(
        self, patient: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """An id that a client chose is nobody else's business."""
        elsewhere = replace(filing, session=filing.hospital.new_session())
        other = enter(elsewhere.person("doctor"), prosody)
        file_id = str(uuid4())
        assert patient.send(samples.jpeg(), file_id=file_id).status_code == 200
        assert other.send(samples.pdf(), file_id=file_id).status_code == 200
        assert other.call("DELETE", f"/{file_id}").status_code == 200
        assert filing.hospital.get(filing.files).get_json()["items"][0]["state"] == "scanning"


class TestPlaces:
    """Threads that carry files, or wait to."""

    @pytest.fixture
    def busy(self, filing: Filing) -> Iterator[Places]:
        """As many files on their way as may be."""
        places: Places = filing.app.extensions[EXTENSION]
        taken = [places.take() for _ in range(filing.services.settings.api_threads // 3)]
        yield places
        for place in taken:
            place.leave()

    def test_nobody_waits_for_a_place_without_a_pass(self, patient: InCall, busy: Places) -> None:
        """Else anybody could hold the threads that wait."""
        stranger = replace(patient, shown="nonsense")
        problem(stranger.send(samples.jpeg()), 401, "pass_invalid")
        assert busy.waiting == 0

    def test_one_person_has_no_place_for_several_at_once(
        self, patient: InCall, doctor: InCall, filing: Filing
    ) -> None:
        """By either door; in Jitsi's client, which does not come again, they wait. Others have the
        rest meanwhile."""
        announced = patient.person.announce("image", samples.jpeg()).get_json()
        places: Places = filing.app.extensions[EXTENSION]
        mine = places.take(f"in participant:{patient.person.id}")
        turned_away = filing.send(announced, samples.jpeg())
        assert (turned_away.status_code, turned_away.get_json()["code"]) == (503, "streams_busy")
        with ThreadPoolExecutor() as pool:
            waits = pool.submit(patient.send, samples.jpeg())
            while places.waiting == 0 and not waits.done():
                wait([waits], timeout=0.01)
            assert not waits.done()
            assert doctor.send(samples.jpeg()).status_code == 200
            mine.leave()
            assert waits.result().status_code == 200
        assert filing.send(announced, samples.jpeg()).status_code == 204
