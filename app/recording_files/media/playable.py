"""Which version of a file a browser plays: itself, itself with the index in front, or another."""

import os
import tempfile
from collections.abc import Callable, Iterator
from typing import IO

from app.errors import Invalid, Unavailable
from app.ports import Pieces
from app.recording_files.media import faststart, ffmpeg
from app.recording_files.media.faststart import OddMp4
from app.recording_files.media.ffmpeg import INPUT, MP4
from app.recording_files.media.probing import Probed
from app.recording_files.media.serving import Read

PIECE_BYTES = 256 * 1024
LITTLE_BYTES = 1024 * 1024
# What every browser plays.
VIDEO, AUDIO, PIXELS = "h264", (None, "aac"), ("yuv420p", "yuvj420p")
# Is told how many per cent of the work are done.
Progress = Callable[[float], None]


def playable(
    read: Read, size: int, url: str, probed: Probed, *, progress: Progress
) -> Iterator[bytes] | None:
    """Return what a browser plays, or None: the file as it is.

    Raises:
        Invalid: nothing can be made of the file.
        Unavailable: there is no room to make it.
    """
    if not _is_known(probed) or probed.form != MP4:
        return _made_anew(url, probed, progress)
    try:
        boxes = faststart.boxes_of(read, size)
        if faststart.is_fast(boxes):
            return None
        return _counted(faststart.moved(read, boxes), size, progress)
    except OddMp4:
        return _made_anew(url, probed, progress)


def _is_known(probed: Probed) -> bool:
    facts = probed.facts
    return facts.video_codec == VIDEO and facts.audio_codec in AUDIO and probed.pixels in PIXELS


def _counted(pieces: Iterator[bytes], size: int, progress: Progress) -> Iterator[bytes]:
    done = 0
    for piece in pieces:
        done += len(piece)
        progress(100 * done / size)
        yield piece


def _made_anew(url: str, probed: Probed, progress: Progress) -> Iterator[bytes]:
    """Have ffmpeg copy what browsers play and encode the rest anew.

    An MP4 is written back and forth, so it must lie somewhere: in a temporary file without a name,
    which is gone with the process that holds it, however that ends.
    """
    with tempfile.TemporaryFile() as out:
        try:
            for done_ms in ffmpeg.written(out, _words(url, probed)):
                progress(80 * done_ms / probed.facts.duration_ms)
            _require_whole(out)
        except Invalid:
            _require_room(out)
            raise
        yield from _read(out, 0, _size(out))


def _require_whole(out: IO[bytes]) -> None:
    """Look at what ffmpeg made: when a disk is full it may say that all went well.

    Raises:
        Invalid: it is not whole.
    """
    try:
        boxes = faststart.boxes_of(lambda start, length: _read(out, start, length), _size(out))
    except OddMp4 as error:
        raise ffmpeg.unreadable() from error
    if not faststart.is_fast(boxes):
        raise ffmpeg.unreadable()


def _require_room(out: IO[bytes]) -> None:
    """Say that it was not the file's fault, if there is no room for what is made of it.

    Raises:
        Unavailable: there is none.
    """
    disk = os.fstatvfs(out.fileno())
    if disk.f_bavail * disk.f_frsize < LITTLE_BYTES:
        raise Unavailable("There is no room to write this.", code="temporary_space_full")


def _words(url: str, probed: Probed) -> list[str]:
    facts = probed.facts
    is_good = facts.video_codec == VIDEO and probed.pixels in PIXELS
    encoder = ("libx264", "-preset", "veryfast", "-crf", "23", "-pix_fmt", "yuv420p")
    video = ("copy",) if is_good else encoder
    audio = ("copy",) if facts.audio_codec in AUDIO else ("aac",)
    return [
        *("-threads", "2", "-f", probed.form, *INPUT, "-i", url),
        *("-map", "0:v:0", "-map", "0:a:0?", "-c:v", *video, "-c:a", *audio),
        *("-movflags", "+faststart", "-map_metadata", "-1"),
    ]


def _size(out: IO[bytes]) -> int:
    return os.fstat(out.fileno()).st_size


def _read(out: IO[bytes], start: int, length: int) -> Pieces:
    out.seek(start)
    while length > 0 and (piece := out.read(min(PIECE_BYTES, length))):
        length -= len(piece)
        yield piece
