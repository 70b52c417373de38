"""Whether a recording may be watched now, judged anew each time something of it is asked for."""

from datetime import datetime

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.errors import Conflict, DomainError, Forbidden, Gone
from app.files.sight import permissions_of
from app.holds import service as holds
from app.participants.models import Participant
from app.participants.permissions import Permission
from app.playback.models import PlaybackLink
from app.recording_files import service as recording_files
from app.recording_files.models import RecordingFile
from app.recordings.models import Recording
from app.recordings.states import OVER, State
from app.sessions.models import CareSession


def require_watchable(db: Session, recording: Recording) -> list[RecordingFile]:
    """Return the files of a recording that people may see.

    Raises:
        Gone: it was deleted, or its time was over.
        Conflict: it is not ready, all of it is withheld, or a legal hold keeps it shut.
    """
    if recording.state in OVER:
        raise Gone("This recording was deleted.", code="recording_deleted")
    if recording.state != State.AVAILABLE:
        raise Conflict("There is nothing to watch yet.", code="recording_not_available")
    if db.scalar(select(holds.holding(recording.session_id, playback=True))):
        raise Conflict(
            "There is a legal hold on this session; its recordings are not shown meanwhile.",
            code="recording_held",
        )
    files = recording_files.of_recordings(db, [recording.id])[recording.id]
    shown = [file for file in files if file.shown_id is not None]
    if not shown:
        raise Conflict(
            "This recording is withheld until somebody has decided about it.",
            code="recording_withheld",
        )
    return shown


def require_alive(db: Session, link: PlaybackLink, *, now: datetime) -> list[RecordingFile]:
    """Return the files that people may see behind a link, if what it began may go on.

    Raises:
        Gone: the recording was deleted, or the link has expired or was revoked.
        Conflict: see `require_watchable`.
        Forbidden: its person was removed, or may not watch any more.
    """
    recording = db.get_one(Recording, link.recording_id, populate_existing=True)
    files = require_watchable(db, recording)
    if link.revoked_at is not None:
        raise Gone("This link was taken back.", code="playback_revoked")
    if link.expires_at <= now:
        raise Gone("This link has expired.", code="playback_expired")
    if link.participant_id is not None:
        _require_person(db, link)
    return files


def told(error: DomainError) -> DomainError:
    """Return a refusal as who watches hears it. That there is a legal hold, or that somebody has
    yet to decide, is the hospital's business; the audit log has it."""
    if isinstance(error, Conflict):
        return Conflict("This recording cannot be watched at the moment.", code="playback_shut")
    return error


def _require_person(db: Session, link: PlaybackLink) -> None:
    person = db.get_one(Participant, link.participant_id)
    session = db.get_one(CareSession, link.session_id)
    may = Permission.WATCH_RECORDINGS in permissions_of(db, person, session.kind)
    if person.state == "removed" or not may:
        raise Forbidden("Your part in this session does not allow it.", code="not_permitted")
