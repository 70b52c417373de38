"""`teleconsult recordings`."""

from uuid import UUID

import click

from app.audit import service as audit
from app.cli.context import as_json, moment, services, show_list
from app.clock import utc_now
from app.recording_files import service as files
from app.recording_files.models import RecordingFile

MOST = 1000


@click.group("recordings")
def recordings_group() -> None:
    """What recorders left."""


@recordings_group.command("orphans")
@as_json
def orphans(as_json: bool) -> None:
    """List files of recordings that nobody knows, the newest first. Nobody can see them; the name
    of a file begins with that of its room."""
    with services().database.begin() as db:
        found = [_shown(file) for file in files.orphans(db, limit=MOST)]
        audit.record(
            db,
            action="recording.orphans_listed",
            actor=audit.OPERATOR,
            now=utc_now(),
            organisation_id=None,
            detail={"number": len(found)},
        )
    show_list(found, as_json=as_json)


@recordings_group.command("retry")
@click.argument("recording", type=click.UUID)
@as_json
def retry(recording: UUID, as_json: bool) -> None:
    """Have what failed of a recording worked on again, once you have mended why: made room, or
    installed a newer ffmpeg."""
    with services().database.begin() as db:
        under_way = files.retry(db, recording_id=recording, actor=audit.OPERATOR, now=utc_now())
        found = [_shown(file) for file in under_way]
    show_list(found, as_json=as_json)


def _shown(file: RecordingFile) -> dict[str, object]:
    return {
        "id": str(file.id),
        "state": file.state,
        "folder": file.folder,
        "file": file.name,
        "size_bytes": file.size_bytes,
        "created_at": moment(file.created_at),
    }
