"""The database keeps the hospitals apart and the records whole, whatever the code above it does."""

from collections.abc import Iterator
from typing import Any

import psycopg2
import pytest
from flask import Flask
from psycopg2 import errors
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.db.migrate import check
from app.db.tables import Base
from app.localstack.supervisor import LocalStack
from app.services import Services
from tests.api.furnishing import furnish
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import prosody_of

# By their full names: `teleconference.sessions`, `clinical.visits`.
TABLES = Base.metadata.tables
OWNED = sorted(name for name, table in TABLES.items() if "organisation_id" in table.columns)
READ_ONLY = ("clinical.patients", "clinical.providers")
AUDIT = tuple(f"teleconference.audit_{name}" for name in ("entries", "seals", "checkpoints"))
CONSENTS = ("teleconference.consents", "teleconference.consent_texts")
INSERT_ONLY = (*AUDIT, *CONSENTS, "teleconference.room_events")


@pytest.fixture(scope="module")
def furnished(app: Flask, services: Services) -> Hospital:
    """A hospital with at least one row in every table that has an organisation. All tests look at
    the same, because what they try does not succeed."""
    hospital = admit_hospital(app, services, "Furnished Hospital")
    return furnish(hospital, services, prosody_of(app, services))


@pytest.fixture
def owner(postgres: LocalStack) -> Iterator[Any]:
    """A connection of the schema's owner."""
    connection = psycopg2.connect(postgres.postgres.owner_url)
    yield connection
    connection.close()


@pytest.fixture
def auditor(postgres: LocalStack) -> Iterator[Any]:
    """A connection of `role_audit`."""
    connection = psycopg2.connect(postgres.postgres.audit_url)
    yield connection
    connection.close()


def count(db: Any, table: str, where: str = "true", **values: Any) -> int:
    """Return how many rows a transaction sees."""
    query = text(f"SELECT count(*) FROM {table} WHERE {where}")
    return int(db.execute(query, values).scalar_one())


@pytest.mark.parametrize("table", OWNED)
def test_a_transaction_of_one_hospital_sees_no_row_of_another(
    services: Services, furnished: Hospital, charlie: Hospital, table: str
) -> None:
    """Whatever query a bug may send: the rows are there, and Charlie's transaction has none."""
    where, hers = "organisation_id = :id", furnished.organisation_id
    with services.database.begin(furnished.organisation_id) as db:
        assert count(db, table, where, id=hers) > 0
        assert count(db, table) == count(db, table, where, id=hers)
    with services.database.begin(charlie.organisation_id) as db:
        assert count(db, table, where, id=hers) == 0


def test_a_hospital_sees_itself_only(
    services: Services, alice: Hospital, charlie: Hospital
) -> None:
    """The table of organisations is kept apart by its own id."""
    with services.database.begin(charlie.organisation_id) as db:
        rows = db.execute(text("SELECT id FROM teleconference.organisations")).scalars().all()
    assert rows == [charlie.organisation_id]
    assert alice.organisation_id not in rows


@pytest.mark.parametrize(
    "table", [name for name in OWNED if name not in (*INSERT_ONLY, *READ_ONLY)]
)
def test_a_transaction_of_one_hospital_changes_no_row_of_another(
    services: Services, furnished: Hospital, charlie: Hospital, table: str
) -> None:
    """An UPDATE without WHERE stays inside."""
    assert furnished.organisation_id
    with services.database.begin(charlie.organisation_id) as db:
        mine = count(db, table)
        done = db.execute(text(f"UPDATE {table} SET organisation_id = organisation_id"))
        assert done.rowcount == mine  # type: ignore[attr-defined]


def test_a_row_cannot_be_given_to_another_hospital(
    services: Services, alice: Hospital, charlie: Hospital
) -> None:
    """Neither moved there nor inserted there."""
    session = charlie.new_session()["id"]
    move = "UPDATE teleconference.sessions SET organisation_id = :other WHERE id = :session"
    insert = (
        "INSERT INTO teleconference.api_clients"
        " (id, organisation_id, name, scopes, created_at)"
        " VALUES (gen_random_uuid(), :other, 'x', '[]', now())"
    )
    for statement in (move, insert):
        with (
            pytest.raises(DBAPIError, match="row-level security"),
            services.database.begin(charlie.organisation_id) as db,
        ):
            db.execute(text(statement), {"other": alice.organisation_id, "session": session})


def test_a_transaction_that_did_not_say_whose_it_is_sees_nothing(
    services: Services, furnished: Hospital
) -> None:
    """Forgetting is safe."""
    assert furnished.organisation_id
    with services.database.engine.connect() as db:
        assert [count(db, table) for table in OWNED] == [0] * len(OWNED)


def test_the_choice_of_an_organisation_ends_with_the_transaction(
    services: Services, alice: Hospital
) -> None:
    """A pooled connection carries nothing over to the next request."""
    alice.new_session()
    for _ in range(services.settings.database_pool_size + 1):
        with services.database.begin(alice.organisation_id) as db:
            assert count(db, "teleconference.sessions") == 1
        with services.database.engine.connect() as connection:
            assert count(connection, "teleconference.sessions") == 0


def denied(services: Services, statement: str) -> None:
    """Run a statement as the service, which must not be allowed to."""
    with pytest.raises(DBAPIError) as caught, services.database.begin() as db:
        db.execute(text(statement))
    assert isinstance(caught.value.orig, errors.InsufficientPrivilege), caught.value.orig


@pytest.mark.parametrize("table", sorted(TABLES))
def test_the_service_can_neither_delete_nor_alter(services: Services, table: str) -> None:
    """A4: what was written stays, and the shape of it."""
    denied(services, f"DELETE FROM {table}")
    denied(services, f"TRUNCATE {table}")
    denied(services, f"DROP TABLE {table}")
    denied(services, f"ALTER TABLE {table} ADD COLUMN x int")
    denied(services, f"ALTER TABLE {table} DISABLE ROW LEVEL SECURITY")
    denied(services, f"CREATE TRIGGER t BEFORE UPDATE ON {table} EXECUTE FUNCTION f()")


@pytest.mark.parametrize("table", READ_ONLY)
def test_the_service_only_reads_the_directory(services: Services, table: str) -> None:
    """Patients and providers are the hospital's to write."""
    denied(services, f"INSERT INTO {table} (id) VALUES (gen_random_uuid())")
    denied(services, f"UPDATE {table} SET display_name = 'X'")
    denied(services, f"SELECT FROM {table} FOR UPDATE")


@pytest.mark.parametrize("schema", ["teleconference", "clinical"])
def test_the_service_can_make_nothing_in_the_schema(services: Services, schema: str) -> None:
    """No table, no function, and no role."""
    denied(services, f"CREATE TABLE {schema}.mine (id int)")
    denied(services, f"CREATE FUNCTION {schema}.mine() RETURNS int LANGUAGE sql AS 'SELECT 1'")
    denied(services, f"DROP SCHEMA {schema} CASCADE")
    denied(services, "CREATE ROLE mine")


@pytest.mark.parametrize("table", INSERT_ONLY)
def test_the_service_cannot_change_what_is_only_ever_inserted(
    services: Services, table: str
) -> None:
    """The audit log, and the ids of events taken in."""
    column = next(iter(TABLES[table].columns)).name
    denied(services, f"UPDATE {table} SET {column} = {column}")


def test_the_service_reaches_no_partition_past_the_table(
    services: Services, furnished: Hospital
) -> None:
    """A partition has no row security of its own, and so nobody has a right to it."""
    assert furnished.organisation_id
    for verb in ("SELECT * FROM", "DELETE FROM", "TRUNCATE", "INSERT INTO"):
        values = " DEFAULT VALUES" if verb == "INSERT INTO" else ""
        denied(services, f"{verb} audit_partitions.entries_default{values}")


def test_the_service_does_not_say_how_long_entries_are_kept(services: Services) -> None:
    """Else whoever took it over would say: a day."""
    denied(services, "UPDATE teleconference.audit_state SET retention_days = 1")


@pytest.mark.parametrize(
    "statement",
    [
        *(f"UPDATE {table} SET key_id = ''" for table in AUDIT),
        *(f"DELETE FROM {table}" for table in AUDIT),
        *(f"TRUNCATE {table}" for table in AUDIT),
        "UPDATE audit_partitions.entries_default SET key_id = ''",
        "DELETE FROM audit_partitions.entries_default",
        "TRUNCATE audit_partitions.entries_default",
    ],
)
def test_even_the_owner_does_not_change_the_audit_log(
    owner: Any, furnished: Hospital, statement: str
) -> None:
    """A trigger stops whoever slips; whoever means it has to say so in DDL, which is logged."""
    assert furnished.organisation_id
    with pytest.raises(errors.RaiseException, match="never changed"), owner, owner.cursor() as db:
        db.execute(statement)


def test_the_auditor_reads_the_audit_log_of_all_and_nothing_else(
    auditor: Any, furnished: Hospital
) -> None:
    """SecOps sees what was done, and no patient."""
    with auditor, auditor.cursor() as db:
        db.execute(
            "SELECT count(*) FROM teleconference.audit_entries WHERE organisation_id = %s",
            (str(furnished.organisation_id),),
        )
        assert db.fetchone()[0] > 0
    for table in sorted(set(TABLES) - set(AUDIT)):
        with pytest.raises(errors.InsufficientPrivilege), auditor, auditor.cursor() as db:
            db.execute(f"SELECT FROM {table}")


@pytest.mark.parametrize(
    "statement",
    [
        "INSERT INTO teleconference.audit_entries (id) VALUES (gen_random_uuid())",
        "UPDATE teleconference.audit_entries SET outcome = 'x'",
        "DELETE FROM teleconference.audit_entries",
    ],
)
def test_the_auditor_writes_nothing(auditor: Any, statement: str) -> None:
    """Read-only by default, and without the right to when that is switched off."""
    with pytest.raises(errors.ReadOnlySqlTransaction), auditor, auditor.cursor() as db:
        db.execute(statement)
    auditor.set_session(readonly=False)
    with pytest.raises(errors.InsufficientPrivilege), auditor, auditor.cursor() as db:
        db.execute(statement)


def test_row_security_is_on_for_every_table_with_an_organisation(owner: Any) -> None:
    """A table added later without a policy is found here."""
    with owner, owner.cursor() as db:
        db.execute("""
            SELECT n.nspname || '.' || c.relname
            FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
            WHERE n.nspname IN ('teleconference', 'clinical') AND c.relkind IN ('r', 'p')
              AND c.relrowsecurity
              AND EXISTS (SELECT FROM pg_policy p WHERE p.polrelid = c.oid)""")
        assert {name for (name,) in db.fetchall()} == {*OWNED, "teleconference.organisations"}


def test_models_and_migrations_agree(postgres: LocalStack) -> None:
    """What the code believes of the tables is what the migrations make."""
    check(postgres.environment["MIGRATION_DATABASE_URL"])
