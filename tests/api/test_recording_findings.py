"""Everybody in a file is held against attendance and consents once more."""

from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from tests.api.prosody import invite
from tests.api.recorded import folder_of, shown
from tests.api.recorder import Recorder, film
from tests.api.records import alter, audit_of
from tests.api.test_recordings import Call

AGAIN = """
    UPDATE teleconference.recording_files SET state = 'processing', due_at = now()
    WHERE folder = :folder"""
GIVEN_UP = """
    UPDATE teleconference.recordings SET state = 'failed', reason = 'file_missing' WHERE id = :id"""
NEVER_BEGAN = """
    UPDATE teleconference.recordings SET state = 'failed', started_at = NULL WHERE id = :id"""
LATER = """
    UPDATE teleconference.recordings SET started_at = now(), stopped_at = now() + interval '9 s'
    WHERE id = :id"""
SOMEBODY_WAS_THERE = """
    INSERT INTO teleconference.attendance (id, organisation_id, session_id, participant_id, is_host,
        source, connection, joined_at, left_at, is_counted)
    SELECT gen_random_uuid(), p.organisation_id, p.session_id, p.id, false, 's', 'c',
        r.started_at, r.stopped_at, false
    FROM teleconference.participants p JOIN teleconference.recordings r USING (session_id)
    WHERE p.id = :person"""


class TestWhoWasThere:
    """A file is withheld if somebody in it may not have agreed."""

    def test_who_never_agreed(self, call: Call, recorder: Recorder, plain: bytes) -> None:
        """The room let somebody in whom it should not have."""
        late = invite(call.services, call.hospital, call.session, "nurse")
        alter(call.services, SOMEBODY_WAS_THERE, person=late.id)
        recorder.hand_over(plain, folder_of(call))
        self.withheld(call, "consent_missing")

    def test_who_took_it_back(self, call: Call, recorder: Recorder, plain: bytes) -> None:
        """While the file came."""
        recorder.tell(plain, folder_of(call))
        call.say(call.patient, "withdrawn")
        assert call.stands == ("processing", "stopped")
        recorder.hand_over(plain, folder_of(call))
        self.withheld(call, "consent_withdrawn")

    def test_who_took_it_back_after_it_was_given_up(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """The recorder was thought lost, and its file comes after all."""
        alter(call.services, GIVEN_UP, id=call.recordings[0]["id"])
        call.say(call.patient, "withdrawn")
        assert call.recordings[0]["withdrawn_at"] is not None
        recorder.hand_over(plain, folder_of(call))
        self.withheld(call, "consent_withdrawn")

    def test_who_took_it_back_after_nothing_seemed_to_be_recorded(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """The focus never said that it began; so it is not marked, and their word is found."""
        alter(call.services, NEVER_BEGAN, id=call.recordings[0]["id"])
        call.say(call.patient, "withdrawn")
        assert call.recordings[0]["withdrawn_at"] is None
        recorder.hand_over(plain, folder_of(call))
        assert shown(call)["findings"] == ["start_unconfirmed", "consent_withdrawn"]
        self.withheld(call, "start_unconfirmed")

    def test_who_agreed_to_another_text(self, call: Call, recorder: Recorder, plain: bytes) -> None:
        """That did not count any more when the recording began. One that came later is no fault."""
        text = {"language": "en", "text": "May we record you?"}
        assert call.hospital.post("/consent-texts", json=text).status_code == 201
        folder = folder_of(call)
        upload = recorder.tell(plain, folder)["upload"]
        assert recorder.send(upload, plain).status_code == 204
        recorder.work(folder)
        assert shown(call)["state"] == "available"
        alter(call.services, AGAIN, folder=folder)
        alter(call.services, LATER, id=call.recordings[0]["id"])
        recorder.work(folder)
        self.withheld(call, "consent_missing")

    @pytest.mark.parametrize("person", [{"id": str(uuid4())}, {"id": "guest"}, {}, None])
    def test_whom_the_recorder_saw_and_nobody_knows(
        self, call: Call, recorder: Recorder, plain: bytes, person: Any
    ) -> None:
        """Ids of the session's people are no finding."""
        seen = [{"user": {"id": call.doctor.id, "name": "Ada"}}, {"user": person}]
        recorder.hand_over(plain, folder_of(call), metadata={"participants": seen})
        self.withheld(call, "stranger")

    def test_what_lasts_longer_than_the_recording(
        self, call: Call, recorder: Recorder, films: Path
    ) -> None:
        """Somebody may have come after it."""
        long = film(films / "long.mp4", seconds=40, codecs=("-c:v", "mpeg4"))
        recorder.hand_over(long, folder_of(call))
        self.withheld(call, "outlasts_recording")

    def withheld(self, call: Call, code: str) -> None:
        """See that nobody gets it, and that it says why."""
        file = shown(call)
        assert (file["state"], file["reason"]) == ("withheld", code), file
        assert code in file["findings"]
        assert call.stands == ("available", "withheld")
        entries = audit_of(call.services, call.hospital.organisation_id)
        told = [one for one in entries if one.action == "recording.file_withheld"]
        assert code in told[-1].detail["findings"]
