"""Sends one message to one person: claim, send with no transaction open, record."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import structlog

from app.errors import DomainError
from app.notifications import mail, sending, short
from app.notifications.kinds import Channel
from app.notifications.notice import Notice
from app.notifications.sending import Claimed
from app.notifications.service import channels_of
from workers.jobs.context import JobContext, job
from workers.jobs.wakeups import SEND, SEND_SERVICE, SEND_SMS, SILENCE
from workers.schedule import retry_delay_s

log = structlog.get_logger()

# A claim must outlive the longest attempt, with time to write down what became of it.
MARGIN_S = 2.0


@job
def send_mail(context: JobContext, notification_id: UUID) -> None:
    """Send an e-mail unless somebody else does, or nobody would want it any more."""
    _carry(context, SEND, notification_id)


@job
def send_sms(context: JobContext, notification_id: UUID) -> None:
    """Send a text to a phone; see `send_mail`."""
    _carry(context, SEND_SMS, notification_id)


@job
def send_service(context: JobContext, notification_id: UUID) -> None:
    """Hand a message to the hospital's notification service; see `send_mail`."""
    _carry(context, SEND_SERVICE, notification_id)


def _carry(context: JobContext, job_name: str, notification_id: UUID) -> None:
    if not context.wakeups.begin(job_name, notification_id):
        return
    claimed = _claim(context, notification_id)
    if claimed is None or claimed.notice is None:
        return
    try:
        _send(context, claimed.notice)
    except DomainError as error:
        _record_failure(context, claimed, error)
        if error.code == SILENCE:
            context.wakeups.pause(job_name, notification_id)
            return
    else:
        with context.services.database.begin() as db:
            sending.record_sent(db, claimed, now=context.clock())
    context.wakeups.answered(job_name, notification_id)


def _claim(context: JobContext, notification_id: UUID) -> Claimed | None:
    settings, now = context.services.settings, context.clock()
    lease_s = max(settings.delivery_lease_s, settings.notification_timeout_s + MARGIN_S)
    with context.services.database.begin() as db:
        claimed = sending.claim(
            db,
            notification_id,
            settings=settings,
            lease_until=now + timedelta(seconds=lease_s),
            now=now,
        )
        if claimed is not None and claimed.dropped:
            sending.record_dropped(db, claimed)
    return claimed


def _send(context: JobContext, notice: Notice) -> None:
    services = context.services
    if notice.channel is Channel.EMAIL:
        mail_from = services.settings.mail_from
        services.mailer.send(mail.compose(notice, mail_from=mail_from, now=context.clock()))
    elif notice.channel is Channel.SMS:
        services.sms.send(str(notice.id), notice.phone, short.compose(notice))
    else:
        services.notifier.send(str(notice.id), _for_service(notice))


def _for_service(notice: Notice) -> dict[str, Any]:
    return {
        "id": str(notice.id),
        "kind": notice.kind,
        "urgent": notice.is_urgent,
        "session_id": str(notice.session_id),
        "session_reference": notice.session_reference,
        "recipient": {
            "participant_id": str(notice.participant_id),
            "reference": notice.reference,
            "display_name": notice.name,
            "email": notice.email or None,
            "phone": notice.phone or None,
            "locale": notice.locale,
        },
        "subject": notice.subject,
        "text": mail.plain_text(notice),
        "short_text": short.compose(notice),
        "link": notice.link or None,
        "planned_start": notice.planned_start.isoformat() if notice.planned_start else None,
    }


def _record_failure(context: JobContext, claimed: Claimed, error: DomainError) -> None:
    settings, now = context.services.settings, context.clock()
    delay_s = None
    if error.retryable:
        delay_s = retry_delay_s(claimed.failures + 1, settings.delivery_attempts)
    retry_at = None
    if delay_s is not None:
        retry_at = now + timedelta(seconds=max(delay_s, error.retry_after_s or 0))
    with context.services.database.begin() as db:
        sending.record_failure(
            db,
            claimed,
            error=error.code,
            retry_at=retry_at,
            available=channels_of(settings),
            now=now,
        )
    log.info(
        "message_not_sent",
        notification=str(claimed.id),
        attempt=claimed.attempt,
        reason=error.code,
        final=retry_at is None,
    )
