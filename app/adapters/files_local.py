"""Files in a folder of this machine, or of a network file system that all processes see."""

import os
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from app.errors import NotFound, Unavailable
from app.ids import new_id
from app.ports import FileStore, Pieces
from app.storage.chunks import SEALED_BYTES

# Four sealed chunks, so that none lies in two pieces.
PIECE_BYTES = 4 * SEALED_BYTES
# Not a name that a key can hold, so nothing unfinished is ever taken for a file.
UNFINISHED = ".unfinished"
# Each name begins with a letter or digit, so there is no `..` and nothing hidden.
KEY = re.compile(r"[a-z0-9][a-z0-9._-]*(/[a-z0-9][a-z0-9._-]*)*")
READ = os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC


class LocalFiles(FileStore):
    """A folder. What is written is on the disk before it has its name."""

    def __init__(self, folder: str) -> None:
        self._folder = Path(folder)

    def put(self, key: str, content: Iterable[bytes]) -> None:
        """Write beside, make it last, then give it its name."""
        with translated():
            unfinished = self._made(self._folder / UNFINISHED) / str(new_id())
            try:
                with unfinished.open("xb") as file:
                    file.writelines(content)
                    file.flush()
                    os.fsync(file.fileno())
                path = self._path(key)
                self._made(path.parent)
                unfinished.replace(path)
                _make_last(path.parent)
            finally:
                unfinished.unlink(missing_ok=True)

    def open(self, key: str, *, start: int = 0, length: int | None = None) -> Pieces:
        """Read pieces as they are asked for."""
        with translated():
            file = os.fdopen(os.open(self._path(key), READ), "rb")
        return _pieces(file, start, length)

    def delete(self, key: str) -> None:
        """Remove the file, and its name for good."""
        path = self._path(key)
        with translated(), suppress(FileNotFoundError):
            path.unlink()
            _make_last(path.parent)

    def keys(self, prefix: str = "") -> Iterator[str]:
        """Walk through the folder."""
        with translated():
            files = [path for path in self._folder.rglob("*") if path.is_file()]
        found = [path.relative_to(self._folder).as_posix() for path in files]
        return iter(sorted(key for key in found if KEY.fullmatch(key) and key.startswith(prefix)))

    def forget_unfinished(self, *, before: datetime) -> None:
        """Remove old files that never got a name."""
        with translated(), suppress(FileNotFoundError):
            for path in (self._folder / UNFINISHED).iterdir():
                if path.stat().st_mtime < before.timestamp():
                    path.unlink(missing_ok=True)

    def _path(self, key: str) -> Path:
        if not KEY.fullmatch(key):
            raise ValueError("this is no key of a file")
        return self._folder / key

    @staticmethod
    def _made(folder: Path) -> Path:
        """Make a folder that nobody else can look into."""
        missing = [one for one in (folder, *folder.parents) if not one.exists()]
        for one in reversed(missing):
            one.mkdir(mode=0o700, exist_ok=True)
            _make_last(one.parent)
        return folder


def _pieces(file: BinaryIO, start: int, length: int | None) -> Pieces:
    with file, translated():
        file.seek(start)
        left = length
        while left is None or left > 0:
            piece = file.read(PIECE_BYTES if left is None else min(PIECE_BYTES, left))
            if not piece:
                return
            left = None if left is None else left - len(piece)
            yield piece


def _make_last(folder: Path) -> None:
    """Put a folder's names on the disk; a file that is there without its name is lost."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def translated() -> Iterator[None]:
    """Say in our words what the file system refused."""
    try:
        yield
    except FileNotFoundError as error:
        raise NotFound("There is no such file.", code="stored_file_missing") from error
    except OSError as error:
        raise Unavailable("The file store does not answer.", code="storage_unavailable") from error
