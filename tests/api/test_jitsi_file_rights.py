"""Files by the button of Jitsi's own client: what is refused, and who may do what with a pass."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import jwt
import orjson
import pytest

from app.clock import utc_now
from app.files import passes
from app.files.jitsi import MOST_BYTES
from tests.api import samples
from tests.api.filed import refusals_of, row_of
from tests.api.filing import Filing
from tests.api.hospital import Hospital
from tests.api.in_call import InCall, enter, ids_in, listed, someone
from tests.api.problems import problem
from tests.api.prosody import Prosody
from tests.api.records import orders_of

FILE_ALONE = (
    b'--b\r\nContent-Disposition: form-data; name="file"; filename="a"\r\n\r\nx\r\n--b--\r\n'
)


class TestRefusals:
    """What is wrong with a file."""

    @pytest.mark.parametrize(
        ("content", "code"),
        [
            (samples.archive(), "file_type_not_allowed"),
            (samples.gif(), "file_type_not_allowed"),
            (b"MZ just a program", "file_type_not_allowed"),
            (b"x", "file_type_not_allowed"),
        ],
    )
    def test_what_is_none_of_the_kinds_is_not_taken(
        self, patient: InCall, filing: Filing, content: bytes, code: str
    ) -> None:
        """Its first bytes say so, and nothing of it is stored."""
        problem(patient.send(content, name="photo.jpg"), 422, code)
        assert filing.hospital.get(filing.files).get_json()["items"] == []

    def test_a_disguise_is_found_by_the_check(self, patient: InCall) -> None:
        """A beginning is not enough."""
        file = patient.share(samples.jpeg()[:200], name="half.jpg")
        assert (file["state"], file["reason"]) == ("refused", "file_damaged")

    @pytest.mark.parametrize(
        ("said", "code"),
        [
            ({"fileSize": MOST_BYTES + 1}, "file_too_large"),
            ({"fileSize": 0}, "invalid_request"),
            ({"fileSize": "many"}, "invalid_request"),
            ({"fileId": "../../etc/passwd"}, "invalid_request"),
            ({"fileSize": 10_000_000}, "upload_incomplete"),
            ({"fileSize": 100}, "upload_too_long"),
        ],
    )
    def test_what_is_said_of_it_must_be_true(
        self, patient: InCall, filing: Filing, said: dict[str, Any], code: str
    ) -> None:
        """A file of another length is not shared, and not kept."""
        problem(patient.send(samples.jpeg(), **said), 422, code)
        kept = filing.hospital.get(filing.files).get_json()["items"]
        assert {one["state"] for one in kept} <= {"deleted"}

    @pytest.mark.parametrize(
        ("body", "content_type", "code"),
        [
            (b"--b\r\n", "multipart/form-data; boundary=b", "invalid_request"),
            (b"nothing of the kind", "multipart/form-data; boundary=b", "invalid_request"),
            (b"{}", "application/json", "upload_type"),
            (b"x", "multipart/form-data", "upload_type"),
            (FILE_ALONE, "multipart/form-data; boundary=b", "invalid_request"),
        ],
    )
    def test_another_form_is_refused(
        self, patient: InCall, body: bytes, content_type: str, code: str
    ) -> None:
        """Cut off, empty, or with its parts in another order."""
        answer = patient.call("POST", data=body, content_type=content_type)
        assert (answer.status_code, answer.get_json()["code"]) == (422, code)

    def test_somebody_elses_id_is_not_taken_over(self, patient: InCall, doctor: InCall) -> None:
        """Within a session each id is one file's."""
        file_id = str(uuid4())
        patient.send(samples.jpeg(), file_id=file_id)
        problem(doctor.send(samples.jpeg(), file_id=file_id), 409, "file_exists")


class TestWho:
    """Whose pass opens what."""

    def test_who_may_not_share_is_refused_before_the_bytes(
        self, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """And it is on record."""
        observer = enter(filing.person("observer"), prosody, meeting=doctor.meeting)
        problem(observer.send(samples.jpeg()), 403, "not_permitted")
        refused = ("file.announced", observer.person.id, "not_permitted")
        assert refused in refusals_of(filing)

    def test_who_may_not_see_finds_nothing(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """A picture is not for the interpreter, who cannot tell it from none at all."""
        file = patient.share(samples.jpeg())
        interpreter = enter(filing.person("interpreter"), prosody, meeting=doctor.meeting)
        for method in ("GET", "DELETE"):
            answer = interpreter.call(method, f"/{file['in_list']}")
            problem(answer, 404, "file_not_found")
        for act in ("file.link_made", "file.deleted"):
            assert (act, interpreter.person.id, "file_not_found") in refusals_of(filing)

    def test_only_ones_own_is_deleted_and_a_moderator_deletes_any(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """What is not deleted comes back to the list of who took it from there."""
        theirs, mine = doctor.share(samples.pdf()), patient.share(samples.jpeg())
        problem(patient.call("DELETE", f"/{theirs['in_list']}"), 403, "not_permitted")
        assert orders_of(filing.services, filing.session["id"])[-1].state == "pending"
        assert doctor.call("DELETE", f"/{mine['in_list']}").status_code == 200
        assert doctor.call("DELETE", f"/{mine['in_list']}").status_code == 200
        assert ids_in(listed(filing, prosody)) == {theirs["in_list"]}
        assert row_of(filing, mine["id"]).name == ""

    def test_a_prescription_stays_and_gives_way_in_the_list_to_its_successor(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """Both stay in the panel, which says so."""
        first = doctor.person.share("prescription", samples.pdf(b"10 mg"))
        problem(doctor.call("DELETE", f"/{first['id']}"), 409, "prescription_stays")
        second = doctor.person.share(
            "prescription", samples.pdf(b"5 mg"), supersedes_id=first["id"]
        )
        assert ids_in(listed(filing, prosody)) == {second["id"]}
        assert set(patient.person.sees()) == {first["id"], second["id"]}

    def test_who_left_or_was_removed_or_whose_session_is_over_has_no_use_of_a_pass(
        self, patient: InCall, doctor: InCall, filing: Filing, prosody: Prosody
    ) -> None:
        """Though it has not expired: each use is judged anew."""
        file = patient.share(samples.jpeg())
        there = f"/{file['in_list']}"
        assert patient.call("GET", there).status_code == 200
        prosody.tell(someone(patient.person).left())
        problem(patient.call("GET", there), 403, "not_inside")
        problem(patient.send(samples.jpeg()), 403, "not_inside")
        prosody.tell(someone(patient.person).joined(connection="c2"))
        assert patient.call("GET", there).status_code == 200
        filing.hospital.delete(f"/sessions/{filing.session['id']}/participants/{patient.person.id}")
        problem(patient.send(samples.jpeg()), 403, "participant_removed")
        filing.hospital.post(f"/sessions/{filing.session['id']}/end", json={})
        problem(doctor.call("GET", there), 410, "session_ended")
        assert listed(filing, prosody) == []

    def test_a_pass_is_for_one_meeting(self, patient: InCall, filing: Filing) -> None:
        """Neither another one's address nor none."""
        for meeting in (str(uuid4()), "undefined"):
            other = replace(patient, meeting=meeting)
            problem(other.send(samples.jpeg()), 404, "meeting_unknown")

    def test_a_room_without_an_id_has_no_files_of_this_kind(
        self, patient: InCall, filing: Filing
    ) -> None:
        """Prosody says '' where it knows none."""
        who = someone(patient.person)
        shown = passes.Pass(UUID(who.id), UUID(who.link_id), "")
        text, _ = passes.issue(shown, secret=secret_of(filing), now=utc_now())
        assert replace(patient, shown=text, meeting="x").send(b"x").status_code == 404

    def test_another_hospitals_file_is_not_there(
        self, patient: InCall, charlie: Hospital, filing: Filing, prosody: Prosody
    ) -> None:
        """Whatever its id."""
        file = patient.share(samples.jpeg())
        elsewhere = replace(filing, hospital=replace(charlie, app=filing.app))
        elsewhere = replace(elsewhere, session=elsewhere.hospital.new_session())
        stranger = enter(elsewhere.person("doctor"), prosody)
        for file_id in (file["in_list"], file["id"]):
            problem(stranger.call("GET", f"/{file_id}"), 404, "file_not_found")
            problem(stranger.call("DELETE", f"/{file_id}"), 404, "file_not_found")


class TestPasses:
    """What is no pass."""

    def test_an_altered_expired_or_foreign_one_opens_nothing(
        self, patient: InCall, filing: Filing
    ) -> None:
        """It is on record, as a stranger's."""
        who, secret = someone(patient.person), secret_of(filing)
        mine = passes.Pass(UUID(who.id), UUID(who.link_id), patient.meeting)
        old, _ = passes.issue(mine, secret=secret, now=utc_now() - timedelta(minutes=5))
        forged, _ = passes.issue(mine, secret=b"x" * 32, now=utc_now())
        unsigned = jwt.encode(jwt.decode(patient.shown, secret, ["HS256"]), "", "none")
        head, body, tail = patient.shown.split(".")
        altered = ".".join((head, body[:-2] + body[-1] + body[-2], tail))
        ticket = filing.person("doctor").announce("document", b"x").get_json()["upload_url"]
        for shown, code in [
            (old, "pass_expired"),
            (forged, "pass_invalid"),
            (unsigned, "pass_invalid"),
            (altered, "pass_invalid"),
            (ticket.rpartition("/")[2], "pass_invalid"),
            (filing.hospital.token, "pass_invalid"),
            ("", "pass_invalid"),
        ]:
            problem(replace(patient, shown=shown).send(samples.jpeg()), 401, code)
        assert filing.hospital.get(filing.files).get_json()["items"][1:] == []

    def test_a_pass_is_not_another_key(self, patient: InCall, filing: Filing) -> None:
        """Neither of the API nor of uploads and downloads."""
        client = filing.app.test_client()
        bearer = {"Authorization": f"Bearer {patient.shown}"}
        assert client.get(filing.files, headers=bearer).status_code == 401
        assert client.get(f"/downloads/{patient.shown}").status_code == 404
        assert client.head(f"/uploads/{patient.shown}").status_code == 404

    def test_prosody_alone_gets_passes_and_lists(self, filing: Filing) -> None:
        """Signed, or not at all."""
        client = filing.app.test_client()
        for path in ("files", "file-pass"):
            answer = client.post(f"/internal/rooms/{path}", json={"room": "x"})
            assert answer.status_code == 401, path

    def test_nobody_gets_a_pass_whom_nobody_knows(self, prosody: Prosody) -> None:
        """A link that is none of ours."""
        asked = {"participant_id": str(uuid4()), "link_id": str(uuid4()), "meeting": "x"}
        answer = prosody.post("/internal/rooms/file-pass", orjson.dumps(asked))
        assert (answer.status_code, answer.get_json()["code"]) == (404, "meeting_unknown")


def secret_of(filing: Filing) -> bytes:
    """Return what passes are signed with."""
    return filing.services.settings.api_token_secret[0]
