"""The relay and a worker with the test's clock: what would leave, and when."""

from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select

from app.clock import utc_now
from app.notifications import sending
from app.notifications import service as notifications
from app.notifications.kinds import Channel
from app.notifications.models import Notification
from app.notifications.notice import Notice
from app.services import Services
from workers.relay import relay_events

LEASE = timedelta(seconds=60)
EVERY_CHANNEL = frozenset(Channel)


@dataclass
class Post:
    """Both of them for one hospital; `sent` is what its people would have got."""

    services: Services
    organisation_id: UUID
    available: frozenset[Channel] = EVERY_CHANNEL
    sent: list[Notice] = field(default_factory=list)

    def relay(self, now: datetime | None = None) -> None:
        """Take in all events that wait."""
        while True:
            with self.services.database.begin() as db:
                moment = now or utc_now()
                if not relay_events(db, limit=500, available=self.available, now=moment).events:
                    return

    def deliver(self, now: datetime | None = None) -> list[tuple[str, str]]:
        """Send what is due at `now`; return kind and name of each."""
        moment, found = now or utc_now(), []
        with self.services.database.begin(self.organisation_id) as db:
            waiting = notifications.due(db, now=moment, limit=1000)
        for one in waiting:
            with self.services.database.begin() as db:
                claimed = sending.claim(
                    db, one.id, settings=self.services.settings, lease_until=moment + LEASE,
                    now=moment,
                )  # fmt: skip
                if claimed is None:
                    continue
                if claimed.dropped:
                    sending.record_dropped(db, claimed)
                elif claimed.notice is not None:
                    found.append(claimed.notice)
                    sending.record_sent(db, claimed, now=moment)
        self.sent += found
        return sorted((str(notice.kind), notice.name) for notice in found)

    def now(self, moment: datetime | None = None) -> list[tuple[str, str]]:
        """Relay and deliver."""
        self.relay(moment)
        return self.deliver(moment)

    def rows(self, **where: Any) -> list[Notification]:
        """Return the hospital's messages, the earliest due first."""
        query = select(Notification).filter_by(organisation_id=self.organisation_id, **where)
        with self.services.database.begin() as db:
            return list(db.scalars(query.order_by(Notification.due_at, Notification.id)))
