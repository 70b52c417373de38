"""The collaborators one process works with, handed around instead of imported."""

from collections.abc import Mapping
from dataclasses import dataclass

from redis import Redis

from app.access.issuers import Issuers
from app.audit.group_commit import GroupCommit
from app.db.engine import Database
from app.encryption import Vault
from app.organisations.keys import KeyRing
from app.ports import (
    Directory,
    HttpSender,
    IdentityHttp,
    Limiter,
    Mailer,
    NotificationService,
    Pings,
    Rooms,
    Scanner,
    SmsGateway,
    Turns,
)
from app.settings import Settings
from app.storage.service import Storage


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """Built once per process by `app.wiring.build_services`."""

    settings: Settings
    database: Database
    redis: Redis
    # What is written at every exchange of a link.
    entries: GroupCommit
    vault: Vault
    keys: KeyRing
    rooms: Rooms
    mailer: Mailer
    notifier: NotificationService
    sms: SmsGateway
    http: HttpSender
    identity: IdentityHttp
    issuers: Issuers
    limiter: Limiter
    turns: Turns
    storage: Storage
    scanner: Scanner
    # By protocol: `rest` and `fhir`.
    directories: Mapping[str, Directory]
    health: Mapping[str, Pings]
