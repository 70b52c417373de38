"""What a file is made of, by ffprobe."""

import json
from dataclasses import dataclass
from typing import Any

from app.recording_files.media import ffmpeg
from app.recording_files.media.ffmpeg import INPUT, MATROSKA, MP4, QUIET, unreadable
from app.recording_files.processing import Facts

HEAD_BYTES = 12
MEDIA_TYPES = {MP4: "video/mp4", MATROSKA: "video/x-matroska"}
# Of what a recorder makes; a crafted file may say anything.
MOST_PIXELS = 8192
LONGEST_MS = 48 * 3600 * 1000
ASKED = "format=duration:stream=codec_type,codec_name,width,height,pix_fmt,duration"
NAME = 32


@dataclass(frozen=True, slots=True)
class Probed:
    """What there is. `form`: as ffmpeg calls the format. `pixels`: how its colours are written."""

    form: str
    facts: Facts
    pixels: str


def form_of(head: bytes) -> str:
    """Return which format a file has that begins so.

    Raises:
        Invalid: none that a recorder makes.
    """
    if head[4:8] == b"ftyp":
        return MP4
    if head[:4] == b"\x1aE\xdf\xa3":
        return MATROSKA
    raise unreadable()


def probe(url: str, head: bytes) -> Probed:
    """Look at a file.

    Raises:
        Invalid: it is no video, or cut off so that nothing can be read.
    """
    form = form_of(head)
    words = ("-v", "error", "-f", form, *INPUT, "-show_entries", ASKED, "-of", "json", url)
    told = json.loads(ffmpeg.looked_at("ffprobe", *words) or b"{}")
    streams = told.get("streams") or []
    video = next((one for one in streams if one.get("codec_type") == "video"), None)
    audio = next((one for one in streams if one.get("codec_type") == "audio"), None)
    if video is None:
        raise unreadable()
    facts = Facts(
        media_type=MEDIA_TYPES[form],
        duration_ms=_duration_ms(told.get("format") or {}, video),
        width=_side(video.get("width")),
        height=_side(video.get("height")),
        video_codec=str(video.get("codec_name") or "unknown")[:NAME],
        audio_codec=str(audio.get("codec_name") or "unknown")[:NAME] if audio else None,
    )
    return Probed(form, facts, str(video.get("pix_fmt") or ""))


def poster(url: str, probed: Probed) -> bytes:
    """Return a picture of the file as a JPEG: not the very first, on which nobody is seen yet.

    Raises:
        Invalid: there is none.
    """
    at_s = min(10.0, probed.facts.duration_ms / 1000 / 10)
    source = ("-ss", f"{at_s:.3f}", "-f", probed.form, *INPUT, "-i", url)
    wanted = ("-map", "0:v:0", "-frames:v", "1", "-vf", "scale='min(640,iw)':-2")
    out = ("-f", "image2pipe", "-c:v", "mjpeg", "-q:v", "4", "pipe:1")
    picture = ffmpeg.looked_at("ffmpeg", *QUIET, "-threads", "1", *source, *wanted, *out)
    if not picture:
        raise unreadable()
    return picture


def _duration_ms(form: dict[str, Any], video: dict[str, Any]) -> int:
    for one in (form, video):
        try:
            duration_ms = round(float(one["duration"]) * 1000)
        except (KeyError, TypeError, ValueError, OverflowError):
            continue
        if 0 < duration_ms <= LONGEST_MS:
            return duration_ms
    raise unreadable()


def _side(told: Any) -> int:
    if isinstance(told, int) and 0 < told <= MOST_PIXELS:
        return told
    raise unreadable()
