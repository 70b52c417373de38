"""What the database and the audit log have of shared files."""

from typing import Any

from sqlalchemy import text

from app.files.models import SessionFile
from tests.api.filing import Filing
from tests.api.records import audit_of

CHANGE = "UPDATE teleconference.session_files SET"
KEYS = text(
    "SELECT wrapped_key FROM teleconference.stored_files WHERE organisation_id = :organisation"
)


def row_of(filing: Filing, file_id: str) -> SessionFile:
    """Return a file as the database has it."""
    with filing.services.database.begin() as db:
        return db.get_one(SessionFile, file_id)


def actions_of(filing: Filing, file_id: str) -> list[tuple[str, str]]:
    """Return what the audit log says of a file: action, and whose."""
    entries = audit_of(filing.services, filing.hospital.organisation_id)
    return [
        (entry.action, entry.actor_kind)
        for entry in entries
        if (entry.detail or {}).get("file_id") == file_id
    ]


def refusals_of(filing: Filing) -> list[tuple[str, str | None, Any]]:
    """Return what the audit log says was refused: the act, to whom, and why."""
    entries = audit_of(filing.services, filing.hospital.organisation_id)
    return [
        (entry.action, entry.actor_id, (entry.detail or {}).get("code"))
        for entry in entries
        if entry.outcome == "refused"
    ]


def keys_of(filing: Filing) -> list[bytes]:
    """Return all keys with which files of the hospital can still be read."""
    organisation = {"organisation": filing.hospital.organisation_id}
    with filing.services.database.begin() as db:
        return [key for key in db.execute(KEYS, organisation).scalars() if key is not None]
