"""Who is no recorder of ours hands nothing over, and who is cannot say just anything."""

from base64 import b64encode
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import uuid4

import orjson
import pytest

from app.clock import utc_now
from app.factory import create_app
from app.ids import new_id
from app.localstack.supervisor import LocalStack
from app.recording_files.registering import MOST_BYTES
from app.services import Services
from app.signing import sign
from app.storage.arriving import PART_BYTES
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody
from tests.api.recorded import folder_of, recorded, shown
from tests.api.recorder import FILES, NAME, SECRET, Recorder, recorder_of, told
from tests.api.records import audit_of
from tests.api.test_recordings import Call
from tests.command_line import run

FILM = b"a film"


def refusal(answer: Any) -> tuple[int, str]:
    return answer.status_code, answer.get_json()["code"]


def noted(services: Services, action: str) -> list[Any]:
    """Return what the audit log says of those whom nobody knows."""
    return [e for e in audit_of(services, None) if e.action == action and e.outcome == "refused"]


class TestSignature:
    """A call is proved, and made once."""

    @pytest.mark.parametrize("secret", [bytes(40), SECRET[:-1]])
    def test_a_wrong_secret(self, call: Call, recorder: Recorder, secret: bytes) -> None:
        before = len(noted(call.services, "recorder.signature_refused"))
        stranger = replace(recorder, secret=secret)
        answer = stranger.call(**told(FILM, folder_of(call)))
        assert refusal(answer) == (401, "recorder_signature_invalid")
        assert len(noted(call.services, "recorder.signature_refused")) == before + 1
        assert call.recordings[0]["files"] == []

    @pytest.mark.parametrize("minutes", [-6, 6])
    def test_a_stale_time(self, call: Call, recorder: Recorder, minutes: int) -> None:
        """Five minutes are for clocks that differ."""
        body = orjson.dumps(told(FILM, folder_of(call)))
        when = utc_now() + timedelta(minutes=minutes)
        proof = sign(str(uuid4()), body, secrets=[SECRET], now=when)
        answer = recorder.app.test_client().post(FILES, data=body, headers=proof)
        assert refusal(answer) == (401, "recorder_signature_invalid")

    def test_a_body_that_was_changed(self, call: Call, recorder: Recorder) -> None:
        body = orjson.dumps(told(FILM, folder_of(call)))
        proof = sign(str(uuid4()), body, secrets=[SECRET], now=utc_now())
        other = body.replace(b'"is_partial":false', b'"is_partial":true')
        answer = recorder.app.test_client().post(FILES, data=other, headers=proof)
        assert refusal(answer) == (401, "recorder_signature_invalid")

    def test_the_secret_of_prosody_is_another(self, call: Call, recorder: Recorder) -> None:
        """Neither side stands for the other."""
        prosody = replace(recorder, secret=call.services.settings.room_events_secret[0])
        assert prosody.call(**told(FILM, folder_of(call))).status_code == 401

    def test_a_call_that_is_repeated_word_for_word(self, call: Call, recorder: Recorder) -> None:
        """Its answer would let whoever copied it send bytes. A recorder makes a new one."""
        call_id = str(uuid4())
        assert recorder.call(call_id, **told(FILM, folder_of(call))).status_code == 200
        again = recorder.call(call_id, **told(FILM, folder_of(call)))
        assert refusal(again) == (409, "recorder_call_repeated")
        assert noted(call.services, "recording.file_refused")[-1].actor_kind == "recorder"

    def test_a_call_without_a_number(self, call: Call, recorder: Recorder) -> None:
        answer = recorder.call("one", **told(FILM, folder_of(call)))
        assert refusal(answer) == (422, "invalid_request")

    def test_a_secret_can_be_changed(self, services: Services, call: Call, tmp_path: Any) -> None:
        """The service knows both for a while."""
        recorder = recorder_of(services, tmp_path)
        new = bytes(range(1, 41))
        settings = replace(recorder.services.settings, recorder_secret=(new, SECRET))
        both = Recorder(
            replace(recorder.services, settings=settings), app_of(recorder, settings), new
        )
        assert both.tell(FILM, folder_of(call))["state"] == "arriving"
        assert replace(both, secret=SECRET).tell(FILM, folder_of(call))["state"] == "arriving"

    def test_without_a_secret_there_is_no_recorder(
        self, services: Services, call: Call, tmp_path: Any
    ) -> None:
        """Whatever it is signed with."""
        recorder = recorder_of(services, tmp_path)
        settings = replace(recorder.services.settings, recorder_secret=())
        none = replace(recorder, app=app_of(recorder, settings))
        assert none.call(**told(FILM, folder_of(call))).status_code == 401


def app_of(recorder: Recorder, settings: Any) -> Any:
    """Return the application with other settings."""
    return create_app(replace(recorder.services, settings=settings))


class TestWords:
    """What is said is looked at."""

    @pytest.mark.parametrize(
        "wrong",
        [
            {"folder": "../other"},
            {"folder": "a/b"},
            {"folder": ""},
            {"folder": "x" * 201},
            {"name": "../room.mp4"},
            {"name": "a/b.mp4"},
            {"name": ".hidden"},
            {"name": "a\x00b.mp4"},
            {"name": ""},
            {"name": "x" * 201},
            {"name": 7},
            {"size_bytes": -1},
            {"size_bytes": "9"},
            {"size_bytes": 2**63},
            {"sha256": "0" * 63},
            {"sha256": "G" * 64},
            {"sha256": None},
            {"metadata": "no base64!"},
            {"metadata": b64encode(bytes(120_000)).decode()},
            {"is_partial": "perhaps"},
        ],
        ids=str,
    )
    def test_what_cannot_be_meant(
        self, call: Call, recorder: Recorder, wrong: dict[str, Any]
    ) -> None:
        answer = recorder.call(**{**told(FILM, folder_of(call)), **wrong})
        assert refusal(answer) == (422, "invalid_request")
        assert call.recordings[0]["files"] == []

    def test_no_json(self, recorder: Recorder) -> None:
        assert refusal(recorder.call(body=b"folder=x")) == (422, "invalid_request")

    def test_a_body_without_end(self, recorder: Recorder) -> None:
        assert recorder.call(body=bytes(300_000)).status_code == 413

    def test_a_file_that_is_too_large(self, call: Call, recorder: Recorder) -> None:
        answer = recorder.call(**{**told(FILM, folder_of(call)), "size_bytes": MOST_BYTES + 1})
        assert refusal(answer) == (422, "recording_too_large")

    def test_more_than_was_announced(self, call: Call, recorder: Recorder) -> None:
        """Whether it is said before or comes all the same."""
        upload = recorder.tell(FILM, folder_of(call))["upload"]
        assert refusal(recorder.send(upload, FILM + b"!")) == (422, "upload_too_long")
        assert shown(call)["received_bytes"] == 0

    @pytest.mark.parametrize("offset", [1, PART_BYTES])
    def test_bytes_that_belong_elsewhere(self, call: Call, recorder: Recorder, offset: int) -> None:
        upload = recorder.tell(FILM, folder_of(call))["upload"]
        assert refusal(recorder.send(upload, FILM, offset)) == (409, "upload_offset")

    def test_bytes_for_nobody(self, call: Call, recorder: Recorder, services: Services) -> None:
        """Another kind of ticket opens nothing here, and this one nothing elsewhere."""
        upload = recorder.tell(FILM, folder_of(call))["upload"]
        assert refusal(recorder.send(f"{upload}x", FILM)) == (404, "ticket_unknown")
        elsewhere = upload.replace("/internal/recorder/uploads/", "/uploads/")
        assert refusal(recorder.send(elsewhere, FILM)) == (404, "ticket_unknown")


class TestWhose:
    """A file is of the recording that the room told us of."""

    def test_the_folder_of_another_recording(
        self, call: Call, recorder: Recorder, alice: Hospital, services: Services, prosody: Prosody
    ) -> None:
        """What the metadata says and where the file lies must be the same."""
        other = recorded(alice, services, prosody)
        metadata = {"participants": [], "recording_id": other.recordings[0]["id"]}
        answer = recorder.call(**told(FILM, folder_of(call), metadata=metadata))
        assert refusal(answer) == (409, "recording_mismatch")
        folder = str(new_id())
        elsewhere = recorder.call(**told(FILM, folder, metadata=metadata))
        assert refusal(elsewhere) == (409, "recording_mismatch")
        named = {"folder": folder, "recording_id": metadata["recording_id"]}
        detail = noted(call.services, "recording.file_refused")[-1].detail
        assert detail == {"code": "recording_mismatch", **named}
        assert call.recordings[0]["files"] == other.recordings[0]["files"] == []

    def test_another_recorder_takes_over(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """The same folder on another machine, another file: both are of the recording."""
        first = recorder.tell(plain, folder_of(call), is_partial=True)
        second = recorder.tell(FILM, folder_of(call), name=f"later-{NAME}")
        assert recorder.send(first["upload"], plain).status_code == 204
        assert recorder.send(second["upload"], FILM).status_code == 204
        files = call.recordings[0]["files"]
        assert [one["is_partial"] for one in files] == [True, False]

    def test_of_no_recording_that_is_known(
        self, call: Call, recorder: Recorder, plain: bytes, postgres: LocalStack
    ) -> None:
        """Kept where nobody sees it; an operator finds it, and that is noted."""
        folder, stranger = str(new_id()), str(new_id())
        metadata = {"participants": [], "recording_id": stranger}
        row = recorder.hand_over(plain, folder, metadata=metadata)
        assert (row.state, row.reason) == ("orphaned", "recording_unknown")
        assert row.organisation_id is None
        assert row.shown_id is None
        assert recorder.content(row.content_id) == plain
        assert recorder.tell(plain, folder, metadata=metadata)["state"] == "kept"
        assert call.hospital.get(f"/recordings/{stranger}").status_code == 404
        listed = orjson.loads(run(postgres, "recordings", "orphans", "--json").stdout)
        assert folder in [one["folder"] for one in listed]
        actions = [entry.action for entry in audit_of(call.services, None)]
        assert {"recording.file_orphaned", "recording.orphans_listed"} <= set(actions)

    def test_an_orphan_is_seen_by_no_hospital(
        self, call: Call, recorder: Recorder, charlie: Hospital
    ) -> None:
        """Row-level security keeps it, whatever is asked."""
        row = recorder.hand_over(FILM, str(new_id()))
        for hospital in (call.hospital, charlie):
            with call.services.database.begin(hospital.organisation_id) as db:
                assert db.get(type(row), row.id) is None
