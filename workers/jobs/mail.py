"""Sends one message to one person: claim, send with no transaction open, record."""

from datetime import datetime, timedelta
from uuid import UUID

import structlog

from app.clock import utc_now
from app.errors import DomainError
from app.notifications import service as notifications
from app.notifications.invitation import Invitation, compose
from app.notifications.service import Claimed
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import SEND, SILENCE
from workers.schedule import retry_delay_s

log = structlog.get_logger()


@job
def send_notification(context: JobContext, notification_id: UUID) -> None:
    """Send a message unless somebody else does, or nobody would want it any more."""
    if not context.wakeups.begin(SEND, notification_id):
        return
    claimed = _claim(context, notification_id, now=utc_now())
    if claimed is None or claimed.invitation is None:
        return
    try:
        _send(context, claimed.invitation)
    except DomainError as error:
        _record_failure(context, claimed, error)
        if error.code == SILENCE:
            context.wakeups.pause(SEND, notification_id)
            return
    else:
        with context.services.database.begin() as db:
            notifications.record_sent(db, claimed, now=utc_now())
    context.wakeups.answered(SEND, notification_id)


def _claim(context: JobContext, notification_id: UUID, *, now: datetime) -> Claimed | None:
    settings = context.services.settings
    lease_until = now + timedelta(seconds=settings.delivery_lease_s)
    with context.services.database.begin() as db:
        claimed = notifications.claim(
            db, notification_id, settings=settings, lease_until=lease_until, now=now
        )
        if claimed is not None and claimed.invitation is None:
            notifications.record_dropped(db, claimed)
    return claimed


def _send(context: JobContext, invitation: Invitation) -> None:
    message = compose(invitation, mail_from=context.services.settings.mail_from, now=utc_now())
    context.services.mailer.send(message)


def _record_failure(context: JobContext, claimed: Claimed, error: DomainError) -> None:
    attempts = context.services.settings.delivery_attempts
    delay_s = retry_delay_s(claimed.failures + 1, attempts) if error.retryable else None
    retry_at = utc_now() + timedelta(seconds=delay_s) if delay_s is not None else None
    with context.services.database.begin() as db:
        notifications.record_failure(db, claimed, error=error.code, retry_at=retry_at)
    log.info(
        "mail_not_sent",
        notification=str(claimed.id),
        attempt=claimed.attempt,
        reason=error.code,
        final=retry_at is None,
    )
