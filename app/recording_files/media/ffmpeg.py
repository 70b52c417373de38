"""ffmpeg and ffprobe, in processes of their own within bounds: they meet what others made.

They read from `serving` alone, know neither our settings nor our keys, and are told which kind of
file it is, so that none of their other formats (playlists, for example) opens something else.
"""

import subprocess
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import IO

from app.errors import Invalid

MEMORY_BYTES = 2 * 1024**3
# Of the processor, not of the clock.
LOOK_CPU_S, WRITE_CPU_S = 120, 8 * 3600
LOOK_WITHIN_S = 300
MOST_WRITTEN_BYTES = 8 * 1024**3
MOST_LOOKED_AT = 4 * 1024**2
QUIET = ("-hide_banner", "-loglevel", "error", "-nostdin")
# A store may let a reader wait.
INPUT = ("-protocol_whitelist", "http,tcp", "-rw_timeout", "60000000")
# Formats by what a file begins with.
MP4, MATROSKA = "mov", "matroska"


def looked_at(program: str, *words: str) -> bytes:
    """Return what a program prints about a file, which is short.

    Raises:
        Invalid: it cannot make anything of the file.
    """
    with _started(program, words, cpu_s=LOOK_CPU_S) as child:
        try:
            said, _ = child.communicate(timeout=LOOK_WITHIN_S)
        except subprocess.TimeoutExpired as error:
            raise unreadable() from error
    if child.returncode or len(said) > MOST_LOOKED_AT:
        raise unreadable()
    return said


def written(out: IO[bytes], words: Sequence[str]) -> Iterator[int]:
    """Have ffmpeg write into an open file, and yield how many milliseconds are done, as it says so.

    Raises:
        Invalid: it cannot make anything of the file, or the outcome is too large.
    """
    # Not its name, for it has none: see `playable`. Opened anew, so that it can be sought in.
    target = ("-progress", "pipe:1", "-f", "mp4", "-y", f"/proc/self/fd/{out.fileno()}")
    with _started(
        "ffmpeg", (*QUIET, *words, *target), cpu_s=WRITE_CPU_S, pass_fds=(out.fileno(),)
    ) as child:
        assert child.stdout is not None
        for line in child.stdout:
            name, _, value = line.partition(b"=")
            if name == b"out_time_us" and value.strip().isdigit():
                yield int(value) // 1000
        if child.wait():
            raise unreadable()


def unreadable() -> Invalid:
    """Say that nothing can be made of a file."""
    return Invalid("This is no video that can be read.", code="media_unreadable")


@contextmanager
def _started(
    program: str, words: Sequence[str], *, cpu_s: int, pass_fds: Sequence[int] = ()
) -> "Iterator[subprocess.Popen[bytes]]":
    bounds = (
        "prlimit",
        f"--as={MEMORY_BYTES}",
        f"--cpu={cpu_s}",
        f"--fsize={MOST_WRITTEN_BYTES}",
        "--core=0",
    )
    child = subprocess.Popen(  # noqa: S603 - programs of the system, told a loopback address
        [*bounds, program, *words],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env={"PATH": "/usr/local/bin:/usr/bin:/bin"},
        pass_fds=pass_fds,
        start_new_session=True,
    )
    try:
        yield child
    finally:
        child.kill()
        child.wait()
        if child.stdout is not None:
            child.stdout.close()
