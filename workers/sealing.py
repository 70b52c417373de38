"""The audit log's keeper: seals what is new, tells anchors, makes partitions, purges.

A thread of the relay. However many relays run, an advisory lock lets one seal at a time.
"""

import time
from uuid import UUID

import structlog

from app.audit import anchors, retention, sealer
from app.audit.proof import AuditKeys
from app.audit.sealer import Head
from app.clock import utc_now
from app.services import Services
from workers.schedule import Every, Stop, repeat_in_thread

log = structlog.get_logger()

# A busy hour is anchored more often than the clock says.
ANCHOR_AFTER_ENTRIES = 1000
LOOK_AFTER_S = 3600.0


class Keeper:
    """One keeper. It remembers what it sealed and has not yet told."""

    def __init__(self, services: Services) -> None:
        self._services = services
        self._keys = AuditKeys(services.settings.audit_keys)
        self._untold: dict[UUID, Head] = {}
        self._entries = 0
        self._told_at = time.monotonic()
        self._has_begun = False
        self._partitions = Every(LOOK_AFTER_S, self._ensure_partitions)
        self._retention = Every(LOOK_AFTER_S, self._purge)

    def work(self) -> None:
        """Do all that is due."""
        self._begin()
        # First, because an anchor file that cannot be written fails what comes after it.
        self._partitions.run_if_due()
        self._retention.run_if_due()
        while self.seal_batch() == sealer.BATCH:
            self._tell_if_due()
        self._tell_if_due()

    def seal_batch(self) -> int:
        """Seal one batch and return how many entries it had."""
        with self._services.database.begin() as db:
            sealed = sealer.seal(db, self._keys)
        for entry_id in sealed.forged:
            log.error("audit_entry_forged", entry_id=str(entry_id))
        self._untold.update(sealed.heads)
        self._entries += sealed.entries
        return sealed.entries

    def tell(self) -> None:
        """Tell the ends of the chains that grew."""
        path = self._services.settings.audit_anchor_file
        anchors.tell(self._untold, path, now=utc_now())
        self._untold, self._entries, self._told_at = {}, 0, time.monotonic()

    def _begin(self) -> None:
        """Tell all chains once: what was sealed before this process began may be untold."""
        if self._has_begun:
            return
        with self._services.database.begin() as db:
            self._untold.update(sealer.heads_of(db, sealer.all_chains(db)))
        self._has_begun = True

    def _tell_if_due(self) -> None:
        age_s = time.monotonic() - self._told_at
        is_due = age_s >= self._services.settings.audit_anchor_every_s
        if self._untold and (is_due or self._entries >= ANCHOR_AFTER_ENTRIES):
            self.tell()

    def _ensure_partitions(self) -> None:
        with self._services.database.begin() as db:
            retention.ensure_partitions(db)

    def _purge(self) -> None:
        with self._services.database.begin() as db:
            before = retention.purge(db, self._keys, now=utc_now())
        if before is not None:
            log.info("audit_purged", before=before.isoformat())


def start_keeper(services: Services, stop: Stop) -> None:
    """Keep the audit log beside the events: a batch of it should hold up none of them."""
    every_s = services.settings.relay_poll_s
    repeat_in_thread("audit_keeper", Keeper(services).work, interval_s=every_s, stop=stop)
