"""The processes of the service, and what prepares the database for them."""

import sys
from pathlib import Path

import click

from app.cli.context import services, settings

DATA_DIR = Path(".teleconsult")


@click.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True)
@click.option("--port", type=int, default=8080, show_default=True, help="Preferred API port.")
@click.option("--reset", is_flag=True, help="Empty the data folder first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when all is up.")
def up(data_dir: Path, port: int, reset: bool, as_json: bool) -> None:
    """Start everything on this machine and print links that work at once."""
    from app.localstack.up import up as start

    sys.exit(start(data_dir, port=port, reset=reset, as_json=as_json))


@click.command()
def serve() -> None:
    """Serve the API and the pages."""
    from granian.constants import Interfaces
    from granian.server import Server

    mine = settings()
    Server(
        "app.factory:create_app_from_env",
        factory=True,
        interface=Interfaces.WSGI,
        address=mine.host,
        port=mine.port,
        workers=mine.api_workers,
        blocking_threads=mine.api_threads,
        backpressure=mine.api_threads * 32,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()


@click.command()
def stream() -> None:
    """Push events to systems, and the state of their visit to pages."""
    from granian.constants import Interfaces
    from granian.server import Server

    mine = settings()
    Server(
        "app.stream.application:create_app_from_env",
        factory=True,
        interface=Interfaces.ASGI,
        address=mine.host,
        port=mine.stream_port,
        workers=1,
        backlog=1024,
        respawn_failed_workers=True,
        log_access=False,
        websockets=False,
    ).serve()


@click.command()
def relay() -> None:
    """Hand events on: to webhooks, to people, to rooms."""
    from workers import relay as process

    process.run(services("teleconsult-relay"))


@click.command()
def worker() -> None:
    """Do the slow work: deliver webhooks, send e-mail."""
    from workers import main as process

    process.run(services("teleconsult-worker"))


@click.command()
def gateway() -> None:
    """Carry orders to the live rooms over XMPP."""
    from workers import gateway as process

    process.run(settings())


@click.command()
def migrate() -> None:
    """Bring the database to the newest schema (as its owner, MIGRATION_DATABASE_URL)."""
    from app.db.migrate import migrate as apply

    mine = settings()
    if not mine.migration_database_url:
        raise click.ClickException("Set MIGRATION_DATABASE_URL to the owner's connection.")
    apply(
        mine.migration_database_url,
        audit_keys=mine.audit_keys,
        audit_retention_days=mine.audit_retention_days,
    )
