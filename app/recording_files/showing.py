"""Recordings with their files, as they are answered."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy.orm import Session

from app.db.base import columns_of
from app.recording_files import service
from app.recording_files.models import RecordingFile
from app.recordings.models import Recording


def shown(db: Session, recordings: Sequence[Recording]) -> list[dict[str, Any]]:
    """Return recordings with their files, by a fixed number of statements."""
    files = service.of_recordings(db, [one.id for one in recordings])
    return [
        {**columns_of(one), "files": [_file(file) for file in files.get(one.id, ())]}
        for one in recordings
    ]


def _file(file: RecordingFile) -> dict[str, Any]:
    return {
        **columns_of(file),
        "sha256": file.sha256.hex(),
        "has_poster": file.poster_id is not None,
    }
