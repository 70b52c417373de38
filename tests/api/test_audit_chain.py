"""Whatever a superuser does to the audit log, `verify` finds it; and it finds nothing else."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from sqlalchemy import Connection, text

from app.audit import anchors as anchoring
from app.audit.anchors import Anchors
from app.audit.verify import Broken, What
from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from app.services import Services
from tests.api.auditing import make_entries, seal_all, seals_of, superuser, verdict_on
from tests.api.hospital import Hospital

LENGTH = 40
ENTRIES = "teleconference.audit_entries"
SEALS = "teleconference.audit_seals"
anywhere = st.integers(min_value=0, max_value=LENGTH - 1)
tampering = settings(
    max_examples=25,
    deadline=None,
    derandomize=True,
    suppress_health_check=[HealthCheck.function_scoped_fixture],
)


@pytest.fixture
def chained(alice: Hospital, services: Services) -> Hospital:
    """Alice, with a chain of at least LENGTH entries."""
    make_entries(services, alice, LENGTH)
    seal_all(services)
    return alice


@pytest.fixture
def anchors(chained: Hospital, services: Services, postgres: LocalStack) -> Anchors:
    """What was noted of Alice's chain elsewhere."""
    found = Anchors()
    with superuser(postgres) as db:
        last = seals_of(db, chained)[-1]
    known = anchoring.Chain()
    known.add(last.number, bytes(last.hash)[: anchoring.HASH_BYTES])
    found.chains[chained.organisation_id] = known
    return found


def do(db: Connection, statement: str, **values: Any) -> None:
    """Change exactly one row."""
    assert db.execute(text(statement), values).rowcount == 1


def found(
    postgres: LocalStack,
    services: Services,
    hospital: Hospital,
    tamper: Callable[[Connection], None],
    anchors: Anchors | None = None,
) -> Broken | None:
    """Return what `verify` says after a tampering, which is then undone."""
    with superuser(postgres) as db:
        tamper(db)
        return verdict_on(db, services, hospital, anchors).broken


def test_an_untouched_chain_is_whole(
    postgres: LocalStack, services: Services, chained: Hospital, anchors: Anchors
) -> None:
    """Every shape of an entry comes back from the database as it was proved."""
    with superuser(postgres) as db:
        verdict = verdict_on(db, services, chained, anchors)
        numbers = [seal.number for seal in seals_of(db, chained)]
    assert verdict.broken is None
    assert (verdict.entries, verdict.unsealed) == (len(numbers), 0)
    assert numbers == list(range(1, len(numbers) + 1))


ALTERATIONS = {
    "organisation_id": "organisation_id = NULL",
    "at": "at = at + interval '1 microsecond'",
    "month": "at = at + interval '1 month'",
    "actor_kind": "actor_kind = 'stranger'",
    "actor_id": "actor_id = coalesce(actor_id, '') || 'x'",
    "action": "action = 'x'",
    "outcome": "outcome = CASE outcome WHEN 'done' THEN 'refused' ELSE 'done' END",
    "session_id": "session_id = gen_random_uuid()",
    "participant_id": "participant_id = gen_random_uuid()",
    "detail": "detail = detail || '{\"b\": -1}'",
    "proof": "proof = sha256(proof)",
    "id": "id = gen_random_uuid()",
}


@pytest.mark.parametrize("column", ALTERATIONS)
@tampering
@given(place=anywhere)
def test_an_altered_entry_is_found(
    postgres: LocalStack, services: Services, chained: Hospital, column: str, place: int
) -> None:
    """Any column of any entry. With another id the entry that was sealed is missing."""
    with superuser(postgres) as db:
        seal = seals_of(db, chained)[place]
        do(db, f"UPDATE {ENTRIES} SET {ALTERATIONS[column]} WHERE id = :id", id=seal.entry_id)
        broken = verdict_on(db, services, chained).broken
    what = What.MISSING if column == "id" else What.ALTERED
    assert broken == Broken(what, chained.organisation_id, seal.entry_id, seal.number)


@pytest.mark.parametrize(
    "change",
    [
        "hash = sha256(hash)",
        "proof = sha256(proof)",
        "is_genuine = NOT is_genuine",
        "is_genuine = NULL",
        "entry_id = gen_random_uuid()",
        "entry_at = entry_at - interval '1 hour'",
    ],
)
@tampering
@given(place=anywhere)
def test_an_altered_seal_is_found(
    postgres: LocalStack, services: Services, chained: Hospital, change: str, place: int
) -> None:
    """The chain is no softer than the entries."""
    with superuser(postgres) as db:
        seal = seals_of(db, chained)[place]
        do(
            db,
            f"UPDATE {SEALS} SET {change} WHERE organisation_id = :chain AND number = :number",
            chain=chained.organisation_id,
            number=seal.number,
        )
        broken = verdict_on(db, services, chained).broken
    assert broken is not None
    assert broken.number == seal.number
    assert broken.what in (What.ALTERED, What.REORDERED)


@tampering
@given(place=anywhere)
def test_a_deleted_entry_is_found(
    postgres: LocalStack, services: Services, chained: Hospital, place: int
) -> None:
    """Its seal is left."""
    with superuser(postgres) as db:
        seal = seals_of(db, chained)[place]
        do(db, f"DELETE FROM {ENTRIES} WHERE id = :id", id=seal.entry_id)
        broken = verdict_on(db, services, chained).broken
    assert broken == Broken(What.MISSING, chained.organisation_id, seal.entry_id, seal.number)


@tampering
@given(place=st.integers(min_value=0, max_value=LENGTH - 2))
def test_an_entry_deleted_with_its_seal_is_found(
    postgres: LocalStack, services: Services, chained: Hospital, place: int
) -> None:
    """By the number that is missing, or by the hash if the rest is numbered anew."""
    with superuser(postgres) as db:
        seals = seals_of(db, chained)
        seal, chain = seals[place], chained.organisation_id
        do(db, f"DELETE FROM {ENTRIES} WHERE id = :id", id=seal.entry_id)
        do(db, f"DELETE FROM {SEALS} WHERE entry_id = :id", id=seal.entry_id)
        broken = verdict_on(db, services, chained).broken
        assert broken == Broken(What.MISSING, chain, None, seal.number)
        for later in seals[place + 1 :]:
            do(
                db,
                f"UPDATE {SEALS} SET number = number - 1 WHERE entry_id = :id",
                id=later.entry_id,
            )
        broken = verdict_on(db, services, chained).broken
    assert broken == Broken(What.REORDERED, chain, seals[place + 1].entry_id, seal.number)


FORGED = f"""
    INSERT INTO {ENTRIES} (id, at, organisation_id, actor_kind, actor_id, action, outcome,
      session_id, participant_id, detail, key_id, proof)
    SELECT gen_random_uuid(), at, organisation_id, actor_kind, actor_id, action, outcome,
      session_id, participant_id, detail, key_id, proof
    FROM {ENTRIES} WHERE id = :id RETURNING id"""


@tampering
@given(place=anywhere)
def test_an_inserted_entry_is_found(
    postgres: LocalStack, services: Services, chained: Hospital, place: int
) -> None:
    """A copy of a real one, with its proof, under an id of its own."""
    with superuser(postgres) as db:
        forged = db.execute(
            text(FORGED), {"id": seals_of(db, chained)[place].entry_id}
        ).scalar_one()
        broken = verdict_on(db, services, chained).broken
    assert broken == Broken(What.INSERTED, chained.organisation_id, forged, None)


def test_an_entry_copied_to_another_time_is_found(
    postgres: LocalStack, services: Services, chained: Hospital
) -> None:
    """The same id twice: the key of the table has the time in it, and so allows it."""
    with superuser(postgres) as db:
        seal = seals_of(db, chained)[5]
        copy = FORGED.replace("gen_random_uuid(), at,", "id, at + interval '1 day',")
        db.execute(text(copy), {"id": seal.entry_id})
        broken = verdict_on(db, services, chained).broken
    assert broken == Broken(What.INSERTED, chained.organisation_id, seal.entry_id, None)


@tampering
@given(first=anywhere, second=anywhere)
def test_reordered_entries_are_found(
    postgres: LocalStack, services: Services, chained: Hospital, first: int, second: int
) -> None:
    """Two genuine entries that have changed places, with or without the hashes of their seals."""
    if first == second:
        return
    first, second = sorted((first, second))
    with superuser(postgres) as db:
        one, other = seals_of(db, chained)[first], seals_of(db, chained)[second]
        for number, seal in ((-1, one), (one.number, other), (other.number, one)):
            do(
                db,
                f"UPDATE {SEALS} SET number = :number WHERE entry_id = :id",
                number=number,
                id=seal.entry_id,
            )
        broken = verdict_on(db, services, chained).broken
        assert broken == Broken(What.REORDERED, chained.organisation_id, other.entry_id, one.number)
        for seal, hash_ in ((other, one.hash), (one, other.hash)):
            do(
                db,
                f"UPDATE {SEALS} SET hash = :hash WHERE entry_id = :id",
                hash=hash_,
                id=seal.entry_id,
            )
        broken = verdict_on(db, services, chained).broken
    assert broken == Broken(What.REORDERED, chained.organisation_id, other.entry_id, one.number)


@tampering
@given(place=anywhere)
def test_a_truncated_end_is_found_by_the_anchor(
    postgres: LocalStack, services: Services, chained: Hospital, anchors: Anchors, place: int
) -> None:
    """Entries and seals from some place on: what is left is whole, but the anchor knew more."""
    with superuser(postgres) as db:
        cut_off(db, chained, seals_of(db, chained)[place].number)
        assert verdict_on(db, services, chained).broken is None
        broken = verdict_on(db, services, chained, anchors).broken
    assert broken == Broken(What.TRUNCATED, chained.organisation_id, None, place + 1)


def cut_off(db: Connection, hospital: Hospital, number: int) -> None:
    """Delete a chain's end, from this number on."""
    values = {"chain": hospital.organisation_id, "number": number}
    db.execute(
        text(f"""
            DELETE FROM {ENTRIES} WHERE id IN (SELECT entry_id FROM {SEALS}
              WHERE organisation_id = :chain AND number >= :number)"""),
        values,
    )
    db.execute(
        text(f"DELETE FROM {SEALS} WHERE organisation_id = :chain AND number >= :number"), values
    )


def test_a_chain_that_grew_again_after_a_cut_is_found_by_the_anchor(
    postgres: LocalStack, services: Services, chained: Hospital, anchors: Anchors
) -> None:
    """It is as long as before, and every link of it is right; only it is another."""
    with superuser(postgres) as db:
        total = len(seals_of(db, chained))
        cut_off(db, chained, total - 3)
        regrow(db, services, chained, 10)
        assert len(seals_of(db, chained)) == total - 4 + 10
        assert verdict_on(db, services, chained).broken is None
        broken = verdict_on(db, services, chained, anchors).broken
    assert broken is not None
    assert (broken.what, broken.number) == (What.TRUNCATED, total)


def regrow(db: Connection, services: Services, hospital: Hospital, number: int) -> None:
    """Have the service itself write and seal on top of what is left."""
    from sqlalchemy.orm import Session

    from app.audit import sealer
    from app.audit import service as audit
    from tests.api.auditing import keys_of

    with Session(bind=db, join_transaction_mode="create_savepoint") as session:
        for _ in range(number):
            audit.record(
                session,
                action="test.again",
                actor=audit.SERVICE,
                now=utc_now(),
                organisation_id=hospital.organisation_id,
            )
        assert sealer.seal(session, keys_of(services)).entries == number
        session.commit()


def test_a_whole_chain_that_vanished_is_found_by_the_anchor(
    postgres: LocalStack, services: Services, chained: Hospital, anchors: Anchors
) -> None:
    """Nothing in the database says that it ever was."""
    broken = found(postgres, services, chained, lambda db: cut_off(db, chained, 1), anchors)
    assert broken == Broken(What.TRUNCATED, chained.organisation_id, None, 1)


def test_a_forged_entry_that_was_sealed_is_found(
    postgres: LocalStack, services: Services, chained: Hospital
) -> None:
    """The sealer seals it, says so, and marks it; nothing is lost by its being there."""
    from sqlalchemy.orm import Session

    from app.audit import sealer
    from tests.api.auditing import keys_of

    with superuser(postgres) as db:
        forged = db.execute(text(FORGED), {"id": seals_of(db, chained)[3].entry_id}).scalar_one()
        with Session(bind=db, join_transaction_mode="create_savepoint") as session:
            sealed = sealer.seal(session, keys_of(services))
            session.commit()
        broken = verdict_on(db, services, chained).broken
    assert sealed.forged == [forged]
    assert broken is not None
    assert (broken.what, broken.entry_id) == (What.INSERTED, forged)
