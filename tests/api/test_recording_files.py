"""What a recorder hands over: taken in once, held against what the room told, and made playable."""

import subprocess
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from app.recording_files import parts
from app.storage.arriving import PART_BYTES
from tests.api.recorded import folder_of, shown
from tests.api.recorder import H264, Recorder, film, told
from tests.api.records import types_of
from tests.api.test_recordings import Call

FORMS: dict[str, tuple[tuple[str, ...], tuple[str, ...]]] = {
    "fast.mp4": (H264, ("-movflags", "+faststart")),
    "other.mp4": (("-c:v", "mpeg4", "-c:a", "libmp3lame"), ()),
    "film.mkv": (H264, ()),
    "still.mp4": (("-c:v", "libx264", "-pix_fmt", "yuv444p"), ()),
    "mute.mp4": (H264, ("-an",)),
}
PLAYLIST = b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n#EXT-X-ENDLIST\n"


def described(folder: Path, content: bytes) -> list[str]:
    """Return the codecs in a film."""
    return sorted(ask_of(folder, content, "stream=codec_name").split())


def packets(folder: Path, content: bytes) -> list[str]:
    """Return the checksum of each packet of a film."""
    return ask_of(folder, content, "packet=data_hash", "-show_data_hash", "md5").split()


def ask_of(folder: Path, content: bytes, wanted: str, *more: str) -> str:
    path = folder / "asked.mp4"
    path.write_bytes(content)
    words = ["ffprobe", "-v", "error", "-show_entries", wanted, *more, "-of", "csv=p=0", str(path)]
    return subprocess.run(words, check=True, capture_output=True, text=True).stdout


def test_a_film_is_taken_in_and_can_be_seen(call: Call, recorder: Recorder, plain: bytes) -> None:
    """Its facts, a picture, a version with the index in front; the original byte for byte."""
    row = recorder.hand_over(plain, folder_of(call))
    file = shown(call)
    assert (file["state"], file["findings"], file["reason"]) == ("available", [], None)
    assert (file["width"], file["height"], file["video_codec"]) == (320, 180, "h264")
    assert (file["audio_codec"], file["media_type"]) == ("aac", "video/mp4")
    assert abs(file["duration_ms"] - 3000) < 200
    assert file["has_poster"]
    assert file["sha256"] == sha256(plain).hexdigest()
    assert recorder.content(row.content_id) == plain
    version = recorder.content(row.shown_id)
    assert version != plain
    assert version.index(b"moov") < version.index(b"mdat")
    assert recorder.content(row.poster_id)[:2] == b"\xff\xd8"
    assert call.stands == ("available", None)
    kinds = types_of(call.services, call.session["id"])[-3:]
    assert kinds == ["recording.file_registered", "recording.file_available", "recording.available"]
    assert recorder.tell(plain, folder_of(call))["state"] == "kept"


def test_a_file_goes_on_where_it_stopped(call: Call, recorder: Recorder, plain: bytes) -> None:
    """The same call says how far it came; a stretch that is sent twice belongs nowhere."""
    folder = folder_of(call)
    upload = recorder.tell(plain, folder)["upload"]
    assert recorder.send(upload, plain[:1000]).status_code == 204
    answer = recorder.tell(plain, folder)
    assert (answer["state"], answer["offset"]) == ("arriving", 1000)
    again = recorder.send(answer["upload"], plain[:1000])
    assert (again.status_code, again.get_json()["code"]) == (409, "upload_offset")
    assert recorder.send(answer["upload"], plain[1000:], 1000).status_code == 204
    assert recorder.tell(plain, folder)["state"] == "arrived"
    recorder.work(folder)
    assert recorder.content(recorder.row(folder).content_id) == plain
    late = recorder.send(upload, plain)
    assert (late.status_code, late.get_json()["code"]) == (410, "upload_gone")


def test_what_lies_in_the_store_is_encrypted(
    call: Call, recorder: Recorder, plain: bytes, tmp_path: Path
) -> None:
    """Each with a key of its own; and of the stretches none can be read any more."""
    row = recorder.hand_over(plain, folder_of(call))
    stored = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    assert stored
    assert not any(word in content for content in stored for word in (b"ftyp", b"moov", b"JFIF"))
    with recorder.services.database.begin() as db:
        assert parts.of_file(db, row.id) == []


def test_many_stretches_make_one_file(call: Call, recorder: Recorder, films: Path) -> None:
    """More than one, and as they came."""
    heavy = ("-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-b:v", "40M",
             "-minrate", "40M", "-maxrate", "40M", "-bufsize", "4M", "-x264-params",
             "nal-hrd=cbr")  # fmt: skip
    content = film(films / "heavy.mp4", codecs=heavy)
    assert len(content) > PART_BYTES
    assert recorder.content(recorder.hand_over(content, folder_of(call)).content_id) == content
    assert shown(call)["state"] == "available"


def test_what_arrives_otherwise_than_it_was_is_sent_anew(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """Nothing of it is kept, and the recorder is told to begin again."""
    folder = folder_of(call)
    broken = plain[:-1] + bytes([plain[-1] ^ 1])
    assert recorder.send(recorder.tell(plain, folder)["upload"], broken).status_code == 204
    recorder.work(folder)
    answer = recorder.tell(plain, folder)
    assert (answer["state"], answer["offset"]) == ("arriving", 0)
    assert shown(call)["reason"] == "hash_mismatch"
    assert recorder.send(answer["upload"], plain).status_code == 204
    recorder.work(folder)
    assert shown(call)["state"] == "available"
    assert recorder.content(recorder.row(folder).content_id) == plain


def test_a_file_that_grew_meanwhile_begins_anew(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """But what was kept is not replaced by another."""
    folder = folder_of(call)
    assert recorder.send(recorder.tell(plain[:500], folder)["upload"], plain[:300]).status_code
    assert recorder.tell(plain, folder)["offset"] == 0
    recorder.hand_over(plain, folder)
    other = recorder.call(**told(plain + b"x", folder))
    assert (other.status_code, other.get_json()["code"]) == (409, "recording_file_differs")


def test_a_file_that_was_looked_at_before_its_recorder_had_ended(
    call: Call, recorder: Recorder, plain: bytes
) -> None:
    """Whether its end may be missing is what was said of it last; of the same bytes the best."""
    folder = folder_of(call)
    recorder.tell(plain[:500], folder, is_partial=True)
    assert shown(call)["is_partial"]
    recorder.tell(plain, folder)
    assert not shown(call)["is_partial"]
    recorder.tell(plain, folder, is_partial=True)
    assert not shown(call)["is_partial"]


class TestMedia:
    """What there is to see."""

    @pytest.mark.parametrize("name", ["fast.mp4", "other.mp4", "film.mkv", "still.mp4", "mute.mp4"])
    def test_a_browser_can_play_what_comes_out(
        self, call: Call, recorder: Recorder, films: Path, name: str
    ) -> None:
        """With the index in front it is played as it is; everything else is made so that it is."""
        codecs, more = FORMS[name]
        content = film(films / name, *more, codecs=codecs)
        row = recorder.hand_over(content, folder_of(call), name=f"room_1{Path(name).suffix}")
        assert shown(call)["state"] == "available", shown(call)
        version = recorder.content(row.shown_id)
        assert (row.playable_id is None) == (name == "fast.mp4")
        assert version.index(b"moov") < version.index(b"mdat")
        assert described(films, version) == ["aac", "h264"][int(name == "mute.mp4") :]
        assert recorder.content(row.content_id) == content

    def test_the_index_is_moved_without_touching_a_frame(
        self, call: Call, recorder: Recorder, plain: bytes, films: Path
    ) -> None:
        """Every packet of the version is one of the original."""
        row = recorder.hand_over(plain, folder_of(call))
        assert packets(films, recorder.content(row.shown_id)) == packets(films, plain)

    @pytest.mark.parametrize(
        ("content", "reason"),
        [
            (b"", "file_empty"),
            (b"no film at all", "media_unreadable"),
            (b"\x00\x00\x00\x18ftypmp42" + bytes(1000), "media_unreadable"),
            ("cut", "media_unreadable"),
            ("playlist", "media_unreadable"),
        ],
    )
    def test_of_what_is_no_film_nothing_is_made(
        self, call: Call, recorder: Recorder, plain: bytes, content: Any, reason: str
    ) -> None:
        """Cut off before its index, say, as a recorder leaves it that was killed. It is kept."""
        made = {"cut": plain[: len(plain) // 2], "playlist": PLAYLIST}.get(content, content)
        row = recorder.hand_over(made, folder_of(call), is_partial=True)
        file = shown(call)
        assert (file["state"], file["reason"], file["is_partial"]) == ("failed", reason, True)
        assert call.stands == ("failed", reason)
        assert recorder.content(row.content_id) == made
        assert row.shown_id is None
        assert recorder.tell(made, folder_of(call))["state"] == "kept"


@pytest.mark.parametrize(
    ("metadata", "findings"),
    [
        (b"", ["metadata_missing"]),
        (b"{", ["metadata_unreadable"]),
        (b"[]", ["metadata_unreadable"]),
        (b'"\xff"', ["metadata_unreadable"]),
        ({"participants": "many"}, ["metadata_unreadable"]),
        ({"participants": [], "recording_id": [1]}, []),
        (b"[" * 50_000, ["metadata_unreadable"]),
    ],
)
def test_metadata_that_is_wrong_is_noted_and_no_more(
    call: Call, recorder: Recorder, plain: bytes, metadata: Any, findings: list[str]
) -> None:
    """The folder says whose it is, too."""
    recorder.hand_over(plain, folder_of(call), metadata=metadata)
    assert (shown(call)["state"], shown(call)["findings"]) == ("available", findings)
