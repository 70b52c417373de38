"""Tells an organisation's own services where its visits stand: claim, send with no transaction
open, record."""

from datetime import timedelta
from uuid import UUID

import structlog

from app.clock import utc_now
from app.directory import service as directory
from app.directory.models import DirectoryConnection
from app.errors import DomainError
from app.visits import reports
from app.visits.reports import Claimed
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import REPORT, SILENCE
from workers.schedule import retry_delay_s

log = structlog.get_logger()

# Few, because a claim must outlast all of them being slow.
BATCH = 5


@job
def report_visits(context: JobContext, organisation_id: UUID) -> None:
    """Tell what is due, one after the other, until nothing is or a service is silent."""
    if not context.wakeups.begin(REPORT, organisation_id):
        return
    while not context.stopping.is_set():
        connection, claimed = _claim(context, organisation_id)
        if connection is None or not claimed:
            return
        errors = [_report(context, connection, one) for one in claimed]
        if SILENCE in errors:
            context.wakeups.pause(REPORT, organisation_id)
            return
        context.wakeups.answered(REPORT, organisation_id)


def _claim(
    context: JobContext, organisation_id: UUID
) -> tuple[DirectoryConnection | None, list[Claimed]]:
    settings, now = context.services.settings, utc_now()
    # Each may take its whole time, twice for FHIR.
    longest_s = 2 * BATCH * settings.directory_timeout_s
    lease_until = now + timedelta(seconds=settings.delivery_lease_s + longest_s)
    with context.services.database.begin() as db:
        connection = directory.connection_of(db, organisation_id)
        if connection is None:
            return None, []
        return connection, reports.claim(
            db, organisation_id, limit=BATCH, lease_until=lease_until, now=now
        )


def _report(context: JobContext, connection: DirectoryConnection, claimed: Claimed) -> str:
    """Tell one service about one visit; return the code of what went wrong, or ''."""
    services = context.services
    error = ""
    try:
        services.directories[connection.protocol].report(
            directory.outside(services, connection, claimed.kind),
            kind=claimed.kind,
            status=claimed.status,
        )
    except DomainError as refusal:
        error = refusal.code
    with services.database.begin() as db:
        if not error:
            reports.record_reported(db, claimed, now=utc_now())
            return ""
        delay_s = retry_delay_s(claimed.failures + 1, services.settings.delivery_attempts)
        retry_at = utc_now() + timedelta(seconds=delay_s) if delay_s is not None else None
        reports.record_failure(db, claimed, error=error, retry_at=retry_at)
    log.info(
        "visit_not_reported",
        appointment=str(claimed.appointment_id),
        service=claimed.kind,
        attempt=claimed.attempt,
        reason=error,
        final=retry_at is None,
    )
    return error
