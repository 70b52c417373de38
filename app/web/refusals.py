"""A refused request, noted in the audit log."""

from datetime import datetime

from app.audit import refusals
from app.audit.service import Entry
from app.web import limits
from app.web.services import current_services


def note_refusal(entry: Entry, *, now: datetime) -> None:
    """Note a refusal, on a connection of its own.

    Not in the request's transaction, which rolls back; nor by a second connection of its pool,
    which would block when every thread holds its first. Strangers are counted by where they come
    from.
    """
    services = current_services()
    with services.database.statements() as db:
        refusals.note(
            db,
            services.limiter,
            entry,
            who=entry.actor.id or limits.address(),
            bound=services.settings.audit_refusals,
            now=now,
        )
