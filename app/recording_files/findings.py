"""What is odd about a file: was everybody in it there with their consent, as far as we know?

The whole time of the recording is looked at, and more of it if the file lasts longer, because two
recorders' files are not told apart by time and clocks differ. Whoever was in the room then must
have agreed before, to the text that counted then, and must not have taken it back since.
When in doubt it is a finding: a file that is withheld wrongly costs a decision, the other mistake
cannot be undone.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.consents import ledger, texts
from app.consents.ledger import GIVEN
from app.consents.models import Consent
from app.consents.texts import RECORDING
from app.participants.models import Attendance
from app.recording_files.models import RecordingFile
from app.recordings.models import Recording

CONSENT_MISSING, CONSENT_WITHDRAWN = "consent_missing", "consent_withdrawn"
STRANGER, OUTLASTS, UNCONFIRMED = "stranger", "outlasts_recording", "start_unconfirmed"
# With one of these nobody sees a file until a person has decided.
WITHHOLDING = frozenset({CONSENT_MISSING, CONSENT_WITHDRAWN, STRANGER, OUTLASTS, UNCONFIRMED})
# Between what the focus says and what the recorder does lie seconds.
TOLERANCE = timedelta(seconds=30)


@dataclass(frozen=True, slots=True)
class Span:
    """A time, open at its end if that is None."""

    start: datetime
    end: datetime | None

    def meets(self, other: "Span") -> "Span | None":
        """Return what two have in common."""
        ends = [end for end in (self.end, other.end) if end is not None]
        start, end = max(self.start, other.start), min(ends) if ends else None
        return Span(start, end) if end is None or start <= end else None


def of_file(
    db: Session, file: RecordingFile, recording: Recording, *, duration_ms: int
) -> list[str]:
    """Return what was found, beside what was found before."""
    recorded, found = _recorded(recording, timedelta(milliseconds=duration_ms))
    stays = _stays(db, recording.session_id, recorded)
    found += _without_consent(db, recording, stays)
    if recording.withdrawn_at is not None:
        found.append(CONSENT_WITHDRAWN)
    known = {str(person) for person, _ in stays}
    if any(person not in known for person in file.seen):
        found.append(STRANGER)
    return list(dict.fromkeys([*file.findings, *found]))


def _recorded(recording: Recording, duration: timedelta) -> tuple[Span, list[str]]:
    """Return when people may have been recorded, and what is odd about that."""
    start = recording.started_at or recording.created_at
    end = recording.stopped_at or recording.changed_at
    found = [] if recording.started_at else [UNCONFIRMED]
    if duration > end - start + TOLERANCE:
        return Span(start, start + duration), [*found, OUTLASTS]
    return Span(start, end), found


def _stays(db: Session, session_id: UUID, during: Span) -> list[tuple[UUID, Span]]:
    """Return who was in the room meanwhile, and when: also who was removed since."""
    rows = db.execute(
        select(Attendance.participant_id, Attendance.joined_at, Attendance.left_at)
        .where(Attendance.session_id == session_id)
        .order_by(Attendance.joined_at)
    )
    met = [(person, Span(joined, left).meets(during)) for person, joined, left in rows]
    return [(person, span) for person, span in met if span is not None]


def _without_consent(
    db: Session, recording: Recording, stays: Iterable[tuple[UUID, Span]]
) -> list[str]:
    acts: dict[UUID, list[Consent]] = {}
    for act in ledger.acts(db, session_id=recording.session_id):
        if act.purpose == RECORDING and act.act != "asked":
            acts.setdefault(act.participant_id, []).append(act)
    found = []
    for person, stay in stays:
        said = acts.get(person, [])
        if not _agreed_at(db, recording.organisation_id, said, stay.start):
            found.append(CONSENT_MISSING)
        # After they left, too: whoever takes it back then is in it all the same.
        if any(act.at > stay.start and act.act != GIVEN for act in said):
            found.append(CONSENT_WITHDRAWN)
    return found


def _agreed_at(
    db: Session, organisation_id: UUID, said: Sequence[Consent], moment: datetime
) -> bool:
    before = [act for act in said if act.at <= moment]
    if not before or before[-1].act != GIVEN:
        return False
    text = texts.in_force(db, organisation_id, RECORDING, before[-1].language, at=moment)
    return before[-1].text_sha256 == text.sha256
