"""Sharing files in a session: who shares, who sees, how bytes come in and go out."""

from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from app.clock import utc_now
from app.files import checking, tickets
from app.files.models import SessionFile
from app.localstack.supervisor import LocalStack
from app.organisations.models import Organisation
from app.storage import sweep
from app.storage.arriving import PART_BYTES
from tests.api import samples
from tests.api.auditing import seal_all, superuser, verdict_on
from tests.api.filed import KEYS, actions_of, refusals_of, row_of
from tests.api.filing import Filing
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.records import audit_of, dump, events_of, types_of
from tests.pages.shared_files import shared

DAY = timedelta(days=1)
# Written down from docs/files.md and the table of permissions.
SEEN_BY = {
    "doctor": "image xray document prescription report",
    "nurse": "image xray document prescription report",
    "patient": "image xray document prescription report",
    "paramedic": "image xray document report",
    "interpreter": "document",
    "relative": "document",
    "observer": "",
}


class TestOnTheWay:
    """From the announcement to the first reader."""

    def test_a_hospitals_program_shares_a_report(self, filing: Filing) -> None:
        """Announced, sent, checked, read; each an entry, and what others must know an event."""
        doctor = filing.person("doctor")
        content = samples.pdf()
        file = filing.share("report", content, name="Discharge letter.pdf")
        assert file["state"] == "available"
        assert file["media_type"] == "application/pdf"
        answer = doctor.open(file["id"])
        assert answer.get_data() == content
        assert (
            answer.headers["Content-Disposition"] == 'attachment; filename="Discharge letter.pdf"'
        )
        assert types_of(filing.services, filing.session["id"])[-3:] == [
            "file.uploaded",
            "file.available",
            "file.viewed",
        ]
        assert actions_of(filing, file["id"]) == [
            ("file.announced", "client"),
            ("file.uploaded", "client"),
            ("file.available", "service"),
            ("file.link_made", "participant"),
            ("file.downloaded", "participant"),
        ]

    def test_a_patient_shares_a_photo_from_their_page(self, filing: Filing) -> None:
        """The doctor sees it with a preview, and the patient sees that the doctor did."""
        patient, doctor = filing.person("patient"), filing.person("doctor")
        file = patient.share("image", samples.phone_photo(), name="rash.jpg")
        assert doctor.sees()[file["id"]]["shared_by_name"] == "Some patient"
        preview = doctor.open(file["id"], preview=True)
        assert preview.headers["Content-Disposition"] == "inline; filename=rash.jpg"
        assert preview.mimetype == "image/jpeg"
        assert patient.sees()[file["id"]]["seen_by_names"] == ["Some doctor"]
        assert filing.read(file["id"])["seen_by"][0]["participant_id"] == doctor.id

    def test_nothing_is_read_before_it_was_checked(self, filing: Filing) -> None:
        """Not by the sender, not by the hospital."""
        patient = filing.person("patient")
        announced = patient.announce("image", samples.jpeg()).get_json()
        problem(filing.link(announced["id"]), 409, "file_uploading", "state")
        filing.send(announced, samples.jpeg())
        problem(filing.link(announced["id"]), 409, "file_scanning", "state")
        problem(
            patient.call("POST", f"/{announced['id']}/link", json={}), 409, "file_scanning", "state"
        )

    def test_an_event_says_nothing_personal(self, filing: Filing) -> None:
        """A file's name may be a patient's."""
        file = filing.share("report", samples.pdf(), name="Erika Mustermann.pdf")
        told = [event.data for event in events_of(filing.services, filing.session["id"])]
        noted = [e.detail for e in audit_of(filing.services, filing.hospital.organisation_id)]
        assert filing.read(file["id"])["name"] == "Erika Mustermann.pdf"
        assert "Erika" not in f"{told}{noted}"


class TestResumed:
    """Large files over bad networks: tus."""

    def test_a_sender_goes_on_where_it_was_cut_off(self, filing: Filing) -> None:
        """It asks how much has arrived, and sends the rest."""
        content = samples.pdf(size=5000)
        announced = filing.announce("report", content).get_json()
        path = announced["upload_url"].partition("/uploads/")[2]
        filing.send(announced, content[:1800])
        told = filing.app.test_client().head(f"/uploads/{path}").headers
        assert (told["Upload-Offset"], told["Upload-Length"]) == ("1800", str(len(content)))
        assert filing.send(announced, content[1800:], offset=1800).status_code == 204
        filing.check(announced["id"])
        assert filing.content(announced["id"]) == content

    def test_a_stretch_may_be_larger_than_any_other_body(self, filing: Filing) -> None:
        """And is stored in several, when it is larger than one."""
        content = samples.pdf(size=PART_BYTES + 1000)
        file = filing.share("document", content)
        assert filing.content(file["id"]) == content

    def test_an_offset_that_is_no_number_is_refused(self, filing: Filing) -> None:
        """Nor one that no file has."""
        announced = filing.announce("report", samples.pdf()).get_json()
        for offset in ("9" * 5000, "-1", "1.5", ""):
            problem(
                filing.send(announced, b"x", offset=offset), 422, "upload_offset", "Upload-Offset"
            )

    @pytest.mark.parametrize("offset", [0, 99, 101, 10**15])
    def test_bytes_that_belong_elsewhere_are_refused(self, filing: Filing, offset: int) -> None:
        """Else a repeat would be in the file twice."""
        content = samples.pdf(size=5000)
        announced = filing.announce("report", content).get_json()
        filing.send(announced, content[:100])
        problem(filing.send(announced, content[100:], offset=offset), 409, "upload_offset")
        assert row_of(filing, announced["id"]).received_bytes == 100

    def test_more_than_was_announced_is_refused(self, filing: Filing) -> None:
        """The limit of a kind is checked at the announcement, so it must hold."""
        announced = filing.announce("report", samples.pdf()).get_json()
        too_long = samples.pdf() + b"more"
        problem(filing.send(announced, too_long), 422, "upload_too_long")
        assert row_of(filing, announced["id"]).received_bytes == 0

    def test_what_is_complete_takes_no_more(self, filing: Filing) -> None:
        """And a repeat of the last stretch is told so."""
        content = samples.pdf()
        announced = filing.announce("report", content).get_json()
        filing.send(announced, content)
        problem(filing.send(announced, b"x", offset=len(content)), 409, "upload_offset")

    def test_tus_is_spoken_as_its_clients_expect(self, filing: Filing) -> None:
        """Version, largest size, and a refusal of what is not a stretch."""
        announced = filing.announce("report", samples.pdf()).get_json()
        path = announced["upload_url"].partition("/uploads/")[2]
        told = filing.app.test_client().options(f"/uploads/{path}").headers
        assert told["Tus-Version"] == "1.0.0"
        wrong = filing.send(announced, b"x", content_type="text/plain")
        problem(wrong, 422, "upload_type", "Content-Type")

    def test_an_upload_that_nobody_goes_on_with_is_given_up(self, filing: Filing) -> None:
        """After a day without a byte; its bytes are destroyed."""
        announced = filing.announce("report", samples.pdf()).get_json()
        filing.send(announced, b"%PDF")
        with filing.services.database.begin() as db:
            checking.give_up(db, limit=10, now=utc_now() + DAY - timedelta(minutes=1))
            assert db.get_one(SessionFile, announced["id"]).state == "uploading"
            checking.give_up(db, limit=1000, now=utc_now() + DAY + timedelta(minutes=1))
        assert filing.read(announced["id"])["state"] == "deleted"
        problem(filing.send(announced, b"more", offset=4), 410, "upload_gone")


class TestTickets:
    """Addresses of bytes are for one person, one thing and a little while."""

    def test_an_old_link_opens_nothing(self, filing: Filing) -> None:
        """Five minutes."""
        file = filing.share("report", samples.pdf())
        link = filing.link(file["id"]).get_json()
        ticket = tickets.read(
            link["url"].rpartition("/")[2],
            secrets=filing.services.settings.api_token_secret,
            purposes=[tickets.CONTENT],
        )
        old, _ = tickets.issue(
            ticket,
            secret=filing.services.settings.api_token_secret[0],
            now=utc_now() - timedelta(minutes=5, seconds=1),
        )
        problem(filing.fetch({"url": f"/downloads/{old}"}), 410, "ticket_expired")

    def test_a_link_for_bytes_in_is_none_for_bytes_out(self, filing: Filing) -> None:
        """And the other way round."""
        file = filing.announce("report", samples.pdf()).get_json()
        ticket = file["upload_url"].rpartition("/")[2]
        problem(filing.fetch({"url": f"/downloads/{ticket}"}), 404, "ticket_unknown")
        there = filing.share("report", samples.pdf())
        out = filing.link(there["id"]).get_json()["url"].rpartition("/")[2]
        problem(filing.send({"upload_url": f"/uploads/{out}"}, b"x"), 404, "ticket_unknown")

    @pytest.mark.parametrize("ticket", ["x", "a.b.c", "x" * 5000, "%00"])
    def test_a_made_up_link_is_unknown(self, filing: Filing, ticket: str) -> None:
        """Whatever it looks like."""
        problem(filing.fetch({"url": f"/downloads/{ticket}"}), 404, "ticket_unknown")

    def test_a_removed_persons_link_opens_nothing_any_more(self, filing: Filing) -> None:
        """Though it has not expired."""
        patient = filing.person("patient")
        file = filing.share("report", samples.pdf())
        link = patient.call("POST", f"/{file['id']}/link", json={}).get_json()
        assert filing.fetch(link).status_code == 200
        filing.hospital.delete(f"/sessions/{filing.session['id']}/participants/{patient.id}")
        problem(filing.fetch(link), 403, "participant_removed")

    def test_a_link_for_somebody_is_noted_as_theirs(self, filing: Filing) -> None:
        """The hospital's program may hand links on; the log says whose they were."""
        doctor, observer = filing.person("doctor"), filing.person("observer")
        file = filing.share("report", samples.pdf())
        filing.fetch(filing.link(file["id"], participant_id=doctor.id).get_json())
        assert actions_of(filing, file["id"])[-1] == ("file.downloaded", "participant")
        problem(filing.link(file["id"], participant_id=observer.id), 403, "not_permitted")
        problem(filing.link(file["id"], participant_id=str(uuid4())), 404, "participant_not_found")


class TestRanges:
    """Parts of a file."""

    @pytest.mark.parametrize(
        ("asked", "start", "end"),
        [("bytes=0-9", 0, 10), ("bytes=100-", 100, None), ("bytes=-20", -20, None)],
    )
    def test_a_part_is_read_alone(
        self, filing: Filing, asked: str, start: int, end: int | None
    ) -> None:
        """As players and viewers ask for it."""
        content = samples.pdf(size=2000)
        link = filing.link(filing.share("report", content)["id"]).get_json()
        answer = filing.fetch(link, Range=asked)
        assert answer.status_code == 206
        assert answer.get_data() == content[start:end]
        assert answer.headers["Content-Range"].endswith(f"/{len(content)}")

    def test_a_part_that_is_not_there_is_refused(self, filing: Filing) -> None:
        """With the true length."""
        content = samples.pdf()
        link = filing.link(filing.share("report", content)["id"]).get_json()
        answer = filing.fetch(link, Range=f"bytes={len(content)}-")
        assert answer.status_code == 416
        assert answer.headers["Content-Range"] == f"bytes */{len(content)}"


class TestPrescriptions:
    """Their author answers for them, and nothing replaces them but a successor."""

    def test_a_doctor_is_the_author_of_their_own(self, filing: Filing) -> None:
        """And the patient can read it."""
        doctor, patient = filing.person("doctor"), filing.person("patient")
        file = doctor.share("prescription", samples.pdf())
        assert file["author_id"] == doctor.id
        assert patient.open(file["id"]).get_data() == samples.pdf()

    def test_a_hospitals_program_names_the_author(self, filing: Filing) -> None:
        """Somebody who may prescribe."""
        doctor, nurse = filing.person("doctor"), filing.person("nurse")
        content = samples.pdf()
        without = filing.announce("prescription", content)
        problem(without, 422, "prescription_without_author", "author_id")
        by_nurse = filing.announce("prescription", content, author_id=nurse.id)
        problem(by_nurse, 403, "author_may_not_prescribe")
        stranger = filing.announce("prescription", content, author_id=str(uuid4()))
        problem(stranger, 404, "participant_not_found")
        assert filing.share("prescription", content, author_id=doctor.id)["state"] == "available"
        other_kind = filing.announce("report", content, author_id=doctor.id)
        problem(other_kind, 422, "prescription_without_author", "author_id")

    def test_one_is_superseded_once_and_both_stay(self, filing: Filing) -> None:
        """Who reads the old one sees what took its place."""
        doctor = filing.person("doctor")
        first = doctor.share("prescription", samples.pdf(b"10 mg"))
        second = doctor.share("prescription", samples.pdf(b"5 mg"), supersedes_id=first["id"])
        assert filing.read(first["id"])["superseded_by_id"] == second["id"]
        assert filing.content(first["id"]) == samples.pdf(b"10 mg")
        again = doctor.announce("prescription", samples.pdf(), supersedes_id=first["id"])
        problem(again, 409, "prescription_superseded")

    def test_one_is_not_taken_back(self, filing: Filing) -> None:
        """Neither by its author nor by another moderator; the hospital itself can delete it."""
        doctor = filing.person("doctor")
        file = doctor.share("prescription", samples.pdf())
        for person in (doctor, filing.person("nurse")):
            problem(person.call("DELETE", f"/{file['id']}"), 409, "prescription_stays")
        assert filing.hospital.delete(f"{filing.files}/{file['id']}").status_code == 200

    def test_only_a_prescription_that_is_there_is_superseded(self, filing: Filing) -> None:
        """Not a report, and not one that never passed."""
        doctor = filing.person("doctor")
        report = filing.share("report", samples.pdf())
        announced = doctor.announce("prescription", samples.pdf()).get_json()
        not_one = doctor.announce("prescription", samples.pdf(), supersedes_id=report["id"])
        problem(not_one, 404, "file_not_found")
        unsent = doctor.announce("prescription", samples.pdf(), supersedes_id=announced["id"])
        problem(unsent, 409, "file_uploading", "state")


class TestWho:
    """Strangers, other hospitals, and people who are not inside."""

    def test_another_hospital_finds_nothing(self, filing: Filing, charlie: Hospital) -> None:
        """Its ids are 404, whatever is done with them."""
        file = filing.share("report", samples.pdf())
        there = f"{filing.files}/{file['id']}"
        for answer in (
            charlie.get(there),
            charlie.delete(there),
            charlie.post(f"{there}/links", json={}),
            charlie.get(filing.files),
        ):
            assert answer.status_code == 404
            assert answer.get_json()["code"] in ("file_not_found", "session_not_found")

    @pytest.mark.parametrize(("role", "kinds"), SEEN_BY.items())
    def test_a_role_sees_its_kinds(self, filing: Filing, role: str, kinds: str) -> None:
        """In the list and when it asks for one; all others are not there."""
        person, doctor = filing.person(role), filing.person("doctor")
        contents = {"image": samples.jpeg(), "xray": samples.dicom()}
        ids = {
            kind: doctor.share(kind, contents.get(kind, samples.pdf()))["id"]
            for kind in SEEN_BY["doctor"].split()
        }
        assert set(person.sees()) == {ids[kind] for kind in kinds.split()}
        for kind, file_id in ids.items():
            status = 200 if kind in kinds.split() else 404
            assert person.open(file_id).status_code == status, kind

    def test_a_page_is_told_what_it_shows(self, filing: Filing) -> None:
        """The stand-in that the pages are tested with says what the API says."""
        patient = filing.person("patient")
        file = patient.share("image", samples.jpeg())
        told = patient.call("GET").get_json()
        assert set(shared("a file")) <= set(told["files"][0])
        assert told["files"][0]["id"] == file["id"]
        assert told["may_share"]["image"] == 25 * 1024 * 1024
        assert set(told["may_share"]) == {"image", "xray", "document", "report"}

    def test_who_waits_outside_sees_no_files(self, filing: Filing) -> None:
        """They are let in first."""
        session = filing.hospital.new_session(waiting_room=True)
        person = filing.hospital.invite(session["id"], "patient")
        path = f"/j/{person['link'].rpartition('/')[2]}/files"
        problem(filing.app.test_client().get(path), 403, "not_inside")

    def test_the_page_of_another_site_shares_nothing(self, filing: Filing) -> None:
        """Whoever is lured there has their link in another tab."""
        patient = filing.person("patient")
        foreign = {"Origin": "https://evil.example"}
        body = {"kind": "image", "name": "a.jpg", "size_bytes": 9}
        problem(patient.call("POST", json=body, headers=foreign), 403, "origin_foreign")

    def test_a_session_that_is_over_takes_no_files(self, filing: Filing) -> None:
        """What is there stays readable for the hospital."""
        patient = filing.person("patient")
        file = filing.share("report", samples.pdf())
        filing.hospital.post(f"/sessions/{filing.session['id']}/end", json={})
        problem(filing.announce("report", samples.pdf()), 409, "session_ended")
        problem(patient.call("GET"), 410, "session_ended")
        assert filing.content(file["id"]) == samples.pdf()

    def test_others_files_are_deleted_by_moderators_alone(self, filing: Filing) -> None:
        """And one's own by oneself."""
        patient, medic = filing.person("patient"), filing.person("paramedic")
        doctor = filing.person("doctor")
        one = patient.share("image", samples.jpeg())
        problem(medic.call("DELETE", f"/{one['id']}"), 403, "not_permitted")
        assert patient.call("DELETE", f"/{one['id']}").get_json()["state"] == "deleted"
        other = patient.share("image", samples.jpeg())
        assert doctor.call("DELETE", f"/{other['id']}").status_code == 200

    def test_an_organisation_decides_who_sees_a_kind(self, filing: Filing) -> None:
        """The table is data, as all permissions are. Who tries it all the same is on record."""
        relative = filing.person("relative")
        file = filing.share("report", samples.pdf())
        problem(relative.open(file["id"]), 404, "file_not_found")
        problem(relative.call("DELETE", f"/{file['id']}"), 404, "file_not_found")
        assert refusals_of(filing) == [("link.used", relative.id, "file_not_found")] * 2
        problem(relative.open(str(uuid4())), 404, "file_not_found")
        assert len(refusals_of(filing)) == 2
        with filing.services.database.begin() as db:
            organisation = db.get_one(Organisation, filing.hospital.organisation_id)
            organisation.permissions = {"relative": {"see_reports": True}}
        assert relative.open(file["id"]).status_code == 200


def copies(filing: Filing, postgres: LocalStack, marks: list[bytes]) -> list[str]:
    """Return every place on this machine where something of a file can be read."""
    places = [filing.folder, postgres.data_dir / "files"]
    found = [
        str(path)
        for place in places
        for path in place.rglob("*")
        if path.is_file() and any(mark in path.read_bytes() for mark in marks)
    ]
    rows = dump(postgres)
    return found + [mark.decode() for mark in marks if mark.decode() in rows]


def test_a_deleted_file_leaves_nothing_readable(
    filing: Filing, postgres: LocalStack, live: Any
) -> None:
    """Not in the store, not in the database, not in a link made before; and the audit chain, which
    says who did all this, is whole."""
    patient = filing.person("patient")
    # Not a mark that the samples of other tests have.
    mark = b"Deleted-" + patient.id.encode()
    file = patient.share("document", samples.pdf(mark), name=f"{mark.decode()}.pdf")
    link = filing.link(file["id"]).get_json()
    row = row_of(filing, file["id"])
    assert filing.fetch(link).get_data() == samples.pdf(mark)
    filing.hospital.delete(f"{filing.files}/{file['id']}")
    sweep.sweep(filing.services.database, filing.services.storage.store, now=utc_now())
    problem(filing.fetch(link), 409, "file_deleted", "state")
    assert copies(filing, postgres, [mark]) == []
    assert list(filing.services.storage.store.keys(str(row.organisation_id))) == []
    with filing.services.database.begin() as db:
        keys = db.execute(KEYS, {"organisation": row.organisation_id}).scalars().all()
    assert keys == [None] * len(keys)
    seal_all(filing.services)
    with superuser(postgres) as db:
        assert verdict_on(db, filing.services, filing.hospital).broken is None


def test_a_files_deletion_can_be_shown(filing: Filing) -> None:
    """First the keys of all that was stored of it, and when the store has answered, the bytes."""
    file = filing.person("patient").share("image", samples.jpeg())
    path = f"{filing.files}/{file['id']}"
    problem(filing.hospital.get(f"{path}/deletion"), 409, "file_not_deleted", "state")
    filing.hospital.delete(path)
    proof = filing.hospital.get(f"{path}/deletion").get_json()
    traces = proof["stored_files"]
    assert len(traces) == 3  # the stretch it came in, the picture made of it, its preview
    assert traces[-1]["key_destroyed_at"] == proof["deleted_at"]
    sweep.sweep(filing.services.database, filing.services.storage.store, now=utc_now())
    traces = filing.hospital.get(f"{path}/deletion").get_json()["stored_files"]
    assert all(one["erased_at"] >= one["key_destroyed_at"] for one in traces)
