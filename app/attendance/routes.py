"""`/sessions/{id}/attendance`: who was there, when, for how long; as JSON and as a table."""

from typing import Any
from uuid import UUID

from flask import Response
from sqlalchemy.orm import Session

from app.attendance import service
from app.attendance.schemas import AttendanceOut
from app.attendance.service import PersonAttendance, SessionAttendance
from app.attendance.table import as_csv
from app.web.auth import Caller, now, requires
from app.web.blueprint import Blueprint
from app.web.transactions import transactional

blp = Blueprint("attendance", __name__, description="Who was in the room")


@blp.route("/sessions/<uuid:session_id>/attendance", methods=["GET"])
@transactional
@requires("sessions:read")
@blp.response(200, AttendanceOut)
def read_attendance(session_id: UUID, *, db: Session, caller: Caller) -> dict[str, Any]:
    """Read who was in the room. Two devices at once count once; a reconnection is two intervals."""
    return _shown(_attendance(db, caller, session_id))


@blp.route("/sessions/<uuid:session_id>/attendance.csv", methods=["GET"])
@transactional
@requires("sessions:read")
@blp.response(200, {"type": "string"}, content_type="text/csv")
def download_attendance(session_id: UUID, *, db: Session, caller: Caller) -> Response:
    """Download the same as CSV, one line per interval."""
    response = Response(as_csv(_attendance(db, caller, session_id)), content_type="text/csv")
    response.headers["Content-Disposition"] = f'attachment; filename="attendance-{session_id}.csv"'
    response.headers["Cache-Control"] = "no-store"
    return response


def _attendance(db: Session, caller: Caller, session_id: UUID) -> SessionAttendance:
    return service.of_session(
        db, organisation_id=caller.organisation_id, session_id=session_id, now=now()
    )


def _shown(attendance: SessionAttendance) -> dict[str, Any]:
    session = attendance.session
    return {
        "session_id": session.id,
        "session_state": session.state,
        "planned_start": session.planned_start,
        "planned_end": session.planned_end,
        "started_at": session.started_at,
        "ended_at": session.ended_at,
        "overrun_s": attendance.overrun_s,
        "people": [_person(person) for person in attendance.people],
    }


def _person(person: PersonAttendance) -> dict[str, Any]:
    who = person.participant
    return {
        "participant_id": who.id,
        "role": who.role,
        "reference": who.reference,
        "display_name": who.display_name,
        "state": who.state,
        "outcome": person.outcome,
        "first_joined_at": person.first_joined_at,
        "last_left_at": person.last_left_at,
        "present_s": person.present_s,
        "interruptions": person.interruptions,
        "late_s": person.late_s,
        "intervals": [
            {
                "joined_at": one.joined_at,
                "left_at": one.left_at,
                "leave_reason": one.reason,
                "connections": one.connections,
            }
            for one in person.intervals
        ],
    }
