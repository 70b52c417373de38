"""What never comes of a recording is seen, and what comes after all is taken in."""

from datetime import timedelta

from app.clock import utc_now
from app.recording_files import sweep
from tests.api.recorded import folder_of
from tests.api.recorder import NAME, Recorder
from tests.api.records import alter, types_of
from tests.api.test_recordings import Call

LONG_AGO = """
    UPDATE teleconference.recordings SET changed_at = changed_at - :ago WHERE id = :id"""
QUARTER = timedelta(minutes=16)


class TestSweep:
    """The relay looks after recordings that are over."""

    def look(self, call: Call, after: timedelta = timedelta()) -> None:
        sweep.sweep(call.services, now=utc_now() + after)

    def test_a_recording_of_which_no_file_comes(self, call: Call) -> None:
        """Told once, given up after a week."""
        self.look(call)
        assert call.stands == ("processing", "stopped")
        for _ in range(2):
            self.look(call, QUARTER)
            assert call.stands == ("processing", "file_missing")
        told = types_of(call.services, call.session["id"])
        assert told.count("recording.file_missing") == 1
        self.look(call, timedelta(days=8))
        assert call.stands == ("failed", "file_missing")

    def test_a_file_that_comes_after_all(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """The recorder's machine was off for longer."""
        self.look(call, QUARTER)
        recorder.tell(plain, folder_of(call), name=f"earlier-{NAME}")
        assert call.stands == ("processing", None)
        self.look(call, timedelta(days=8))
        assert call.stands == ("failed", "file_missing")
        recorder.hand_over(plain, folder_of(call))
        assert call.stands == ("available", None)
        assert "recording.found" in types_of(call.services, call.session["id"])

    def test_a_file_that_goes_on_after_it_was_given_up(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """Half of it had come before the recorder's machine was off."""
        folder = folder_of(call)
        upload = recorder.tell(plain, folder)["upload"]
        assert recorder.send(upload, plain[:100]).status_code == 204
        for later in (QUARTER, timedelta(days=8)):
            self.look(call, later)
        assert call.stands == ("failed", "file_missing")
        answer = recorder.tell(plain, folder)
        assert (answer["offset"], call.stands) == (100, ("processing", None))
        assert recorder.send(answer["upload"], plain[100:], 100).status_code == 204
        recorder.work(folder)
        assert call.stands == ("available", None)

    def test_a_file_of_which_no_more_comes(
        self, call: Call, recorder: Recorder, plain: bytes
    ) -> None:
        """While it comes, or is worked on, nothing is missing."""
        folder = folder_of(call)
        upload = recorder.tell(plain, folder)["upload"]
        alter(call.services, LONG_AGO, ago=QUARTER, id=call.recordings[0]["id"])
        self.look(call)
        assert call.stands == ("processing", "stopped")
        self.look(call, QUARTER)
        assert call.stands == ("processing", "file_missing")
        assert recorder.send(upload, plain).status_code == 204
        recorder.work(folder)
        assert call.stands == ("available", None)

    def test_one_of_two_files_is_enough(self, call: Call, recorder: Recorder, plain: bytes) -> None:
        """The other one came before the recording was over, or cannot be read."""
        folder, id_ = folder_of(call), call.recordings[0]["id"]
        recorder.hand_over(b"cut off", folder, is_partial=True)
        assert call.stands == ("failed", "media_unreadable")
        second = recorder.tell(plain, folder, name=f"later-{NAME}")
        assert call.stands == ("processing", None)
        assert recorder.send(second["upload"], plain).status_code == 204
        recorder.work(folder, f"later-{NAME}")
        assert call.stands == ("available", None)
        alter(
            call.services,
            "UPDATE teleconference.recordings SET state = 'processing' WHERE id = :id",
            id=id_,
        )
        self.look(call, QUARTER)
        assert call.stands == ("available", None)

    def test_a_recording_whose_only_file_failed_before_it_was_over(
        self, call: Call, recorder: Recorder
    ) -> None:
        """The first recorder's; no other one handed over anything."""
        recorder.hand_over(b"cut off", folder_of(call), is_partial=True)
        alter(
            call.services,
            "UPDATE teleconference.recordings SET state = 'processing' WHERE id = :id",
            id=call.recordings[0]["id"],
        )
        self.look(call, QUARTER)
        assert call.stands == ("failed", "media_unreadable")
