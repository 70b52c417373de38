"""Patients and providers as the hospital's own services know them.

The local tables are what appointments stand on, and they are the cache: a person asked for is read
from the hospital's service, stored, and good for a while. When the service is away, what is stored
is good for longer; only somebody never heard of cannot be booked then.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

import structlog
from sqlalchemy import text
from sqlalchemy.dialects.postgresql import insert
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import OPERATOR
from app.directory.models import DirectoryConnection
from app.errors import DomainError, NotFound, Unavailable
from app.ids import new_id
from app.organisations.models import Organisation
from app.ports import DirectoryEntry, OutsideService
from app.services import Services

log = structlog.get_logger()

FRESH_FOR = timedelta(minutes=15)
# Of whom it was forgotten how to reach them, too little is known to book them.
KNOWN = text("""
    SELECT updated_at FROM clinical.patients
      WHERE :kind = 'patient' AND organisation_id = :organisation AND reference = :reference
        AND trimmed_at IS NULL
    UNION ALL SELECT updated_at FROM clinical.providers
      WHERE :kind = 'provider' AND organisation_id = :organisation AND reference = :reference
        AND trimmed_at IS NULL""")
# The runtime role may only read these tables; this function of the owner's is the one way in.
LEARN = text("""
    SELECT clinical.learn_person(:kind, :id, :organisation, :reference, :display_name, :email,
      :phone, :language, :is_active, :now)""")


def connect(
    db: Session,
    *,
    organisation_id: UUID,
    protocol: str,
    patients_url: str,
    providers_url: str,
    token: bytes | None,
    now: datetime,
) -> DirectoryConnection:
    """Say where an organisation's services are; a second time replaces the first.

    Args:
        protocol: `rest` or `fhir`.
        token: encrypted.

    Raises:
        NotFound: there is no such organisation.
    """
    if db.get(Organisation, organisation_id) is None:
        raise NotFound("There is no such organisation.", code="organisation_not_found")
    values = {
        "protocol": protocol,
        "patients_url": patients_url,
        "providers_url": providers_url,
        "token": token,
        "is_active": True,
        "updated_at": now,
    }
    row = db.scalars(
        insert(DirectoryConnection)
        .values(organisation_id=organisation_id, **values)
        .on_conflict_do_update(index_elements=["organisation_id"], set_=values)
        .returning(DirectoryConnection)
        .execution_options(populate_existing=True)
    ).one()
    _audit(db, organisation_id, "directory.connected", now, protocol=protocol)
    return row


def disconnect(db: Session, *, organisation_id: UUID, now: datetime) -> None:
    """Neither ask nor tell an organisation's services anything any more.

    Raises:
        NotFound: it has none.
    """
    row = db.get(DirectoryConnection, organisation_id)
    if row is None:
        raise NotFound("It is not connected to a directory.", code="directory_not_connected")
    row.is_active, row.updated_at = False, now
    _audit(db, organisation_id, "directory.disconnected", now)


def connection_of(db: Session, organisation_id: UUID) -> DirectoryConnection | None:
    """Return an organisation's connection, if it has one that is on."""
    row = db.get(DirectoryConnection, organisation_id)
    return row if row is not None and row.is_active else None


def outside(services: Services, row: DirectoryConnection, kind: str) -> OutsideService:
    """Return the service for a `patient` or a `provider`, ready to be called."""
    url = row.patients_url if kind == "patient" else row.providers_url
    return OutsideService(url, services.vault.decrypt(row.token).decode() if row.token else "")


def refresh(
    db: Session,
    services: Services,
    *,
    organisation_id: UUID,
    people: Sequence[tuple[str, str | None]],
    now: datetime,
) -> None:
    """Learn people from the hospital's service, unless what is known of them is fresh.

    Called before anything is locked, because it may take a moment.

    Args:
        people: (`patient` or `provider`, the hospital's reference or None: then nothing is asked).

    Raises:
        Unavailable: the service does not answer, and this person was never heard of.
    """
    row = connection_of(db, organisation_id)
    if row is None:
        return
    for kind, reference in people:
        if reference is not None:
            _refresh(db, services, row, kind=kind, reference=reference, now=now)


def _refresh(
    db: Session,
    services: Services,
    row: DirectoryConnection,
    *,
    kind: str,
    reference: str,
    now: datetime,
) -> None:
    person = {"kind": kind, "organisation": row.organisation_id, "reference": reference}
    known: datetime | None = db.scalar(KNOWN, person)
    if known is not None and known > now - FRESH_FOR:
        return
    try:
        found = services.directories[row.protocol].find(
            outside(services, row, kind), kind=kind, reference=reference
        )
    except DomainError as error:
        log.warning("directory_not_asked", kind=kind, code=error.code)
        if known is None:
            raise _unavailable() from error
        return
    if found is not None:
        learn(db, kind=kind, organisation_id=row.organisation_id, entry=found, now=now)


def learn(
    db: Session, *, kind: str, organisation_id: UUID, entry: DirectoryEntry, now: datetime
) -> None:
    """Store what the hospital's service said of a person of this transaction's organisation."""
    db.execute(
        LEARN,
        {
            "kind": kind,
            "id": new_id(),
            "organisation": organisation_id,
            "reference": entry.reference,
            "display_name": entry.display_name,
            "email": entry.email,
            "phone": entry.phone,
            "language": entry.language,
            "is_active": entry.is_active,
            "now": now,
        },
    )


def _unavailable() -> Unavailable:
    return Unavailable(
        "The hospital's directory does not answer, and this person is not known here yet. Try"
        " again; people who were booked before can be booked now.",
        code="directory_unavailable",
    )


def _audit(db: Session, organisation_id: UUID, action: str, now: datetime, **detail: str) -> None:
    audit.record(
        db,
        action=action,
        actor=OPERATOR,
        now=now,
        organisation_id=organisation_id,
        detail=detail,
    )
