"""The audit log as its tests see it: sealed at once, and open to a superuser's hands."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import Any
from uuid import UUID

from sqlalchemy import Connection, create_engine, text

from app.audit import sealer
from app.audit import service as audit
from app.audit.anchors import Anchors
from app.audit.models import AuditCheckpoint
from app.audit.proof import NOBODY, AuditKeys, content_of_checkpoint
from app.audit.sealer import Head
from app.audit.service import Actor
from app.audit.verify import Verdict
from app.audit.verify import verify as verify_chains
from app.clock import utc_now
from app.localstack.postgres import DATABASE
from app.localstack.supervisor import LocalStack
from app.services import Services
from tests.api.hospital import Hospital


def keys_of(services: Services) -> AuditKeys:
    """Return the keys of the service under test."""
    return AuditKeys(services.settings.audit_keys)


def make_entries(services: Services, hospital: Hospital, number: int) -> None:
    """Write entries of all shapes."""
    with services.database.begin() as db:
        for turn in range(number):
            audit.record(
                db,
                action=f"test.{turn % 7}",
                actor=Actor("client", str(hospital.client_id)) if turn % 2 else audit.SERVICE,
                now=utc_now(),
                organisation_id=hospital.organisation_id,
                session_id=hospital.client_id if turn % 3 else None,
                refused=turn % 5 == 0,
                detail={"b": turn, "a": ["ö", None, 1.5, {"z": True, "y": "\u2028"}]},
            )


def seal_all(services: Services) -> dict[UUID, Head]:
    """Seal whatever is new; return the ends of the chains that grew."""
    heads: dict[UUID, Head] = {}
    while True:
        with services.database.begin() as db:
            sealed = sealer.seal(db, keys_of(services))
        heads.update(sealed.heads)
        if sealed.entries < sealer.BATCH:
            return heads


def make_checkpoint(services: Services, hospital: Hospital) -> None:
    """Write what a purge writes that found nothing to delete in this chain."""
    values = {
        "organisation_id": hospital.organisation_id,
        "purged_before": datetime(2000, 1, 1, tzinfo=UTC),
        "number": 0,
        "hash": b"",
    }
    key_id, proof = keys_of(services).prove(content_of_checkpoint(SimpleNamespace(**values)))
    with services.database.begin() as db:
        db.add(AuditCheckpoint(**values, key_id=key_id, proof=proof))


@contextmanager
def superuser(postgres: LocalStack) -> Iterator[Connection]:
    """Yield a transaction of the superuser with no trigger in its way; all is rolled back."""
    url = postgres.postgres.admin_url.rpartition("/")[0] + f"/{DATABASE}"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg2:", 1))
    try:
        with engine.connect() as db, db.begin() as transaction:
            db.execute(text("SET session_replication_role = replica"))
            yield db
            transaction.rollback()
    finally:
        engine.dispose()


def verdict_on(
    db: Connection, services: Services, hospital: Hospital | None, anchors: Anchors | None = None
) -> Verdict:
    """Verify the chain of one hospital, or that of nobody."""
    organisation = hospital.organisation_id if hospital else NOBODY
    return verify_chains(
        db, keys_of(services), organisation_id=organisation, anchors=anchors or Anchors()
    )


def seals_of(db: Connection, hospital: Hospital) -> Sequence[Any]:
    """Return a chain as it stands."""
    query = text("""
        SELECT * FROM teleconference.audit_seals WHERE organisation_id = :chain ORDER BY number""")
    return db.execute(query, {"chain": hospital.organisation_id}).all()
