"""Runs migrations under one lock and with time limits, so that none can stop a hospital."""

from alembic import context
from sqlalchemy import create_engine, text

from app.db.tables import Base

MIGRATION_LOCK = 7_230_901  # any number, the same for every process
SCHEMAS = {table.schema for table in Base.metadata.tables.values()}


def include_name(name: str | None, type_: str, parent_names: object) -> bool:
    return type_ != "schema" or name in SCHEMAS


def run() -> None:
    engine = create_engine(context.config.attributes["url"])
    with engine.connect() as connection:
        connection.execute(text("SELECT pg_advisory_lock(:key)"), {"key": MIGRATION_LOCK})
        # After the wait for other migrators: only waits for tables in use are cut short.
        connection.execute(text("SET lock_timeout = '4s'"))
        connection.execute(text("CREATE SCHEMA IF NOT EXISTS teleconference"))
        connection.commit()
        context.configure(
            connection=connection,
            target_metadata=Base.metadata,
            include_schemas=True,
            include_name=include_name,
            version_table_schema=Base.metadata.schema,
            compare_server_default=False,
        )
        with context.begin_transaction():
            context.run_migrations()
        connection.commit()
    engine.dispose()


run()
