"""Sharing files has its bounds: who still may, how much there may be, and what is noted of it."""

from threading import Event
from urllib.parse import urlsplit

import pytest
from sqlalchemy import text

from app.audit.service import Actor
from app.clock import utc_now
from app.errors import Conflict, Forbidden
from app.files import announcing, uploads
from app.files.kinds import MIB
from app.organisations.models import Organisation
from app.web.outgoing import LOOKED_EVERY_S
from app.web.streaming import EXTENSION
from tests.api import samples
from tests.api.filed import actions_of, keys_of, refusals_of, row_of
from tests.api.filing import Filing
from tests.api.problems import problem
from tests.api.records import audit_of

MANY = """
INSERT INTO teleconference.session_files
    (id, organisation_id, session_id, kind, state, name, size_bytes, shared_by_kind, shared_by,
     created_at)
SELECT gen_random_uuid(), organisation_id, session_id, kind, state, name, size_bytes,
       shared_by_kind, shared_by, created_at
FROM teleconference.session_files, generate_series(1, :number) WHERE id = :id
"""


# A third of the threads that an API process has without other settings.
PLACES = 2


class TestJudgedAgain:
    """Whoever has an address to send bytes to may not send them any more."""

    def test_a_removed_person_sends_nothing_more(self, filing: Filing) -> None:
        """And that they tried is an entry."""
        patient = filing.person("patient")
        announced = patient.announce("image", samples.jpeg()).get_json()
        filing.send(announced, samples.jpeg()[:100])
        filing.hospital.delete(f"/sessions/{filing.session['id']}/participants/{patient.id}")
        more = filing.send(announced, samples.jpeg()[100:], offset=100)
        problem(more, 403, "participant_removed")
        assert filing.progress(announced).status_code == 403
        assert row_of(filing, announced["id"]).received_bytes == 100
        assert refusals_of(filing)[-1] == ("file.uploaded", patient.id, "participant_removed")

    def test_who_was_removed_as_they_sent_is_refused_then(self, filing: Filing) -> None:
        """Each stretch is judged as it is recorded; what it stored is destroyed."""
        patient = filing.person("patient")
        announced = patient.announce("image", samples.jpeg()).get_json()
        row = row_of(filing, announced["id"])
        upload = uploads.Upload(
            filing.services.database,
            filing.services.storage,
            organisation_id=row.organisation_id,
            file_id=row.id,
            actor=Actor("participant", patient.id),
        )

        def read(most: int) -> bytes:
            where = f"/sessions/{filing.session['id']}/participants/{patient.id}"
            filing.hospital.delete(where)
            return samples.jpeg()[:most]

        with pytest.raises(Forbidden):
            upload.append(read, offset=0, length=None, now=utc_now())
        assert keys_of(filing) == []

    def test_nobody_sends_bytes_to_a_session_that_is_over(self, filing: Filing) -> None:
        """But the hospital's program finishes what it began."""
        patient = filing.person("patient")
        theirs = patient.announce("image", samples.jpeg()).get_json()
        ours = filing.announce("report", samples.pdf()).get_json()
        filing.hospital.post(f"/sessions/{filing.session['id']}/end", json={})
        problem(filing.send(theirs, samples.jpeg()), 410, "session_ended")
        assert filing.send(ours, samples.pdf()).status_code == 204

    def test_who_may_not_share_any_more_does_not(self, filing: Filing) -> None:
        """The organisation decided so meanwhile."""
        patient = filing.person("patient")
        announced = patient.announce("image", samples.jpeg()).get_json()
        with filing.services.database.begin() as db:
            organisation = db.get_one(Organisation, filing.hospital.organisation_id)
            organisation.permissions = {"patient": {"share_files": False}}
        problem(filing.send(announced, samples.jpeg()), 403, "not_permitted")


class TestFull:
    """One session does not fill the disk."""

    def test_a_session_has_so_many_bytes(self, filing: Filing) -> None:
        """What was deleted makes room."""
        announced = {"kind": "xray", "name": "a.dcm", "size_bytes": 1024 * MIB}
        made = [filing.hospital.post(filing.files, json=announced) for _ in range(9)]
        assert [answer.status_code for answer in made] == [201] * 8 + [409]
        problem(made[-1], 409, "files_full")
        filing.hospital.delete(f"{filing.files}/{made[0].get_json()['id']}")
        assert filing.hospital.post(filing.files, json=announced).status_code == 201

    def test_a_session_has_so_many_files(self, filing: Filing) -> None:
        """However small they are."""
        first = filing.announce("report", samples.pdf()).get_json()
        with filing.services.database.begin() as db:
            db.execute(text(MANY), {"id": first["id"], "number": announcing.MOST_FILES - 2})
        assert filing.announce("report", samples.pdf()).status_code == 201
        problem(filing.announce("report", samples.pdf()), 409, "files_full")


class TestNoted:
    """The audit log says what happened, and who did it."""

    def test_a_link_for_somebody_is_made_by_who_asked_for_it(self, filing: Filing) -> None:
        """The person it is for is named beside."""
        doctor = filing.person("doctor")
        file = filing.share("report", samples.pdf())
        filing.link(file["id"], participant_id=doctor.id)
        entry = audit_of(filing.services, filing.hospital.organisation_id)[-1]
        assert (entry.action, entry.actor_kind) == ("file.link_made", "client")
        assert str(entry.participant_id) == doctor.id

    def test_what_is_refused_is_noted(self, filing: Filing) -> None:
        """Whoever tries, and wherever it is refused."""
        patient, medic, observer = (
            filing.person(role) for role in ("patient", "paramedic", "observer")
        )
        patient.announce("prescription", samples.pdf())
        assert refusals_of(filing)[-1] == ("link.used", patient.id, "not_permitted")
        file = patient.share("image", samples.jpeg())
        medic.call("DELETE", f"/{file['id']}")
        assert refusals_of(filing)[-1] == ("link.used", medic.id, "not_permitted")
        filing.link(file["id"], participant_id=observer.id)
        assert refusals_of(filing)[-1][::2] == ("api.called", "not_permitted")
        link = medic.call("POST", f"/{file['id']}/link", json={}).get_json()
        filing.hospital.delete(f"/sessions/{filing.session['id']}/participants/{medic.id}")
        filing.fetch(link)
        assert refusals_of(filing)[-1] == ("file.downloaded", medic.id, "participant_removed")

    def test_nobody_saw_a_file_of_which_no_byte_was_sent(self, filing: Filing) -> None:
        """Asked about, asked for a part that is not there, or lost by the store."""
        doctor = filing.person("doctor")
        file = filing.share("report", samples.pdf())
        link = doctor.call("POST", f"/{file['id']}/link", json={}).get_json()
        asked = filing.app.test_client().head(urlsplit(link["url"]).path)
        assert (asked.status_code, asked.content_length) == (200, len(samples.pdf()))
        assert filing.fetch(link, Range="bytes=99999-").status_code == 416
        store = filing.services.storage.store
        for key in list(store.keys(str(filing.hospital.organisation_id))):
            store.delete(key)
        # More often than there are places for files, so each gave its place back.
        for _ in range(5):
            problem(filing.fetch(link), 404, "stored_file_missing")
        assert filing.read(file["id"])["seen_by"] == []
        assert actions_of(filing, file["id"])[-1] == ("file.link_made", "participant")

    def test_one_person_has_no_place_for_several_at_once(self, filing: Filing) -> None:
        """While they read one, others have the rest, and then they have it again."""
        file = filing.share("report", samples.pdf())
        links = [
            person.call("POST", f"/{file['id']}/link", json={}).get_json()
            for person in (filing.person("doctor"), filing.person("patient"))
        ]
        first = filing.fetch(links[0])
        assert next(iter(first.iter_encoded()))
        second = filing.fetch(links[0])
        assert (second.status_code, second.get_json()["code"]) == (503, "streams_busy")
        assert second.content_type == "application/problem+json"
        in_a_browser = filing.fetch(links[0], Accept="text/html,*/*;q=0.8")
        assert in_a_browser.status_code == 503
        assert in_a_browser.mimetype == "text/html"
        assert "Many files are on their way" in in_a_browser.text
        assert in_a_browser.headers["Retry-After"] == second.headers["Retry-After"]
        assert filing.fetch(links[1]).get_data() == samples.pdf()
        first.close()
        assert filing.fetch(links[0]).get_data() == samples.pdf()

    def test_a_file_that_is_deleted_while_somebody_reads_ends_there(self, filing: Filing) -> None:
        """They do not get the rest of it."""
        content = samples.pdf(size=1024 * 1024)
        file = filing.share("report", content)
        link = filing.person("doctor").call("POST", f"/{file['id']}/link", json={}).get_json()
        reading = filing.fetch(link).iter_encoded()
        got = len(next(reading))
        filing.hospital.delete(f"{filing.files}/{file['id']}")
        Event().wait(LOOKED_EVERY_S)
        with pytest.raises(Conflict):
            got += sum(len(piece) for piece in reading)
        assert got < len(content)

    def test_nobody_saw_a_file_that_found_no_place(self, filing: Filing) -> None:
        """As many were on their way as may be."""
        doctor = filing.person("doctor")
        file = filing.share("report", samples.pdf())
        link = doctor.call("POST", f"/{file['id']}/link", json={}).get_json()
        places = filing.app.extensions[EXTENSION]
        taken = [places.take() for _ in range(PLACES)]
        answer = filing.fetch(link)
        for place in taken:
            place.leave()
        assert (answer.status_code, answer.get_json()["code"]) == (503, "streams_busy")
        assert filing.read(file["id"])["seen_by"] == []
        assert filing.fetch(link).get_data() == samples.pdf()
        assert len(filing.read(file["id"])["seen_by"]) == 1
