"""Attendance as a table: CSV (RFC 4180), one line per interval, for a spreadsheet."""

import csv
import io
from collections.abc import Iterator
from datetime import UTC, datetime

from app.attendance.intervals import Interval
from app.attendance.service import PersonAttendance, SessionAttendance

COLUMNS = (
    "session_id", "participant_id", "reference", "role", "display_name", "outcome", "late_s",
    "present_s", "joined_at", "left_at", "leave_reason", "connections",
)  # fmt: skip
# A cell that begins so is taken for a formula by spreadsheets (OWASP, CSV injection).
FORMULA = ("=", "+", "-", "@", "\t", "\r")


def as_csv(attendance: SessionAttendance) -> str:
    """Return the table with its heading. Who never came has one line without times."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(COLUMNS)
    for person in attendance.people:
        writer.writerows(_lines(attendance, person))
    return text.getvalue()


def _lines(attendance: SessionAttendance, person: PersonAttendance) -> Iterator[list[str]]:
    who = person.participant
    head = [
        str(attendance.session.id),
        str(who.id),
        _harmless(who.reference or ""),
        who.role,
        _harmless(who.display_name),
        person.outcome,
        "" if person.late_s is None else str(person.late_s),
        str(person.present_s),
    ]
    for interval in person.intervals:
        yield head + _times(interval)
    if not person.intervals:
        yield [*head, "", "", "", ""]


def _times(interval: Interval) -> list[str]:
    return [
        _moment(interval.joined_at),
        _moment(interval.left_at) if interval.left_at else "",
        interval.reason or "",
        str(interval.connections),
    ]


def _moment(moment: datetime) -> str:
    return moment.astimezone(UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


def _harmless(text: str) -> str:
    """Keep a name a text: what somebody was called by must not run in a spreadsheet."""
    return f"'{text}" if text.startswith(FORMULA) else text
