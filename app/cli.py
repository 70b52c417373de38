"""`teleconsult`: run the service's processes and look after it."""

import json
import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import click

from app.clock import utc_now
from app.errors import DomainError
from app.organisations import keys, service
from app.participants.permissions import Permission, Role
from app.services import Services
from app.settings import Settings, SettingsError
from app.web.auth import SCOPES

DATA_DIR = Path(".teleconsult")


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Teleconsult: the orchestration service over a hospital's own Jitsi Meet.

    Without any set-up, `teleconsult up` runs everything on this machine. The other commands read
    their settings from the environment (README, "Settings").
    """


@cli.command()
@click.option("--data-dir", type=click.Path(path_type=Path), default=DATA_DIR, show_default=True)
@click.option("--port", type=int, default=8080, show_default=True, help="Preferred API port.")
@click.option("--reset", is_flag=True, help="Empty the data folder first.")
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object when all is up.")
def up(data_dir: Path, port: int, reset: bool, as_json: bool) -> None:
    """Start everything on this machine and print links that work at once."""
    from app.localstack.up import up as start

    sys.exit(start(data_dir, port=port, reset=reset, as_json=as_json))


@cli.command()
def serve() -> None:
    """Serve the API and the pages."""
    from granian.constants import Interfaces
    from granian.server import Server

    settings = _settings()
    Server(
        "app.factory:create_app_from_env",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.api_workers,
        blocking_threads=settings.api_threads,
        backpressure=settings.api_threads * 32,
        respawn_failed_workers=True,
        log_access=False,
    ).serve()


@cli.command()
def stream() -> None:
    """Push events to systems, and the state of their visit to pages."""
    from granian.constants import Interfaces
    from granian.server import Server

    settings = _settings()
    Server(
        "app.stream.application:create_app_from_env",
        factory=True,
        interface=Interfaces.ASGI,
        address=settings.host,
        port=settings.stream_port,
        workers=1,
        backlog=1024,
        respawn_failed_workers=True,
        log_access=False,
        websockets=False,
    ).serve()


@cli.command()
def relay() -> None:
    """Hand events on: to webhooks, to people, to rooms."""
    from workers import relay as process

    process.run(_services("teleconsult-relay"))


@cli.command()
def worker() -> None:
    """Do the slow work: deliver webhooks, send e-mail."""
    from workers import main as process

    process.run(_services("teleconsult-worker"))


@cli.command()
def gateway() -> None:
    """Carry orders to the live rooms over XMPP."""
    from workers import gateway as process

    process.run(_services("teleconsult-gateway"))


@cli.command()
def migrate() -> None:
    """Bring the database to the newest schema (as its owner, MIGRATION_DATABASE_URL)."""
    from app.db.migrate import migrate as apply

    settings = _settings()
    if not settings.migration_database_url:
        raise click.ClickException("Set MIGRATION_DATABASE_URL to the owner's connection.")
    apply(settings.migration_database_url)


@cli.group("keys")
def keys_group() -> None:
    """The keys that sign Jitsi tokens."""


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Publish a new signing key; it signs in ten minutes, the very first at once."""
    services = _services("teleconsult-cli")
    ttl = timedelta(seconds=services.settings.jitsi_token_ttl_s)
    with services.database.begin() as db:
        key = keys.rotate(db, services.vault, token_ttl=ttl, now=utc_now())
    _print({"kid": key.kid, "signs_from": key.signs_from.isoformat()})


@keys_group.command("list")
def list_keys() -> None:
    """Show the published keys, newest first."""
    with _services("teleconsult-cli").database.begin() as db:
        rows = keys.published(db, utc_now())
    for row in rows:
        retired = row.retired_at.isoformat() if row.retired_at else None
        _print({"kid": row.kid, "signs_from": row.signs_from.isoformat(), "until": retired})


@keys_group.command("reencrypt")
def reencrypt_secrets() -> None:
    """Encrypt all stored secrets with the first of MASTER_KEYS; the others can go a day later."""
    from app.reencrypt import reencrypt

    services = _services("teleconsult-cli")
    with services.database.begin() as db:
        done = reencrypt(db, services.vault)
    _print({"reencrypted": done})


@cli.group("organisation")
def organisation_group() -> None:
    """The hospitals of this deployment."""


@organisation_group.command("create")
@click.argument("name")
@click.option("--locale", type=click.Choice(["en", "de", "fr"]), default="en", show_default=True)
def create_organisation(name: str, locale: str) -> None:
    """Create an organisation and print its id."""
    with _services("teleconsult-cli").database.begin() as db:
        row = service.create_organisation(db, name=name, locale=locale, now=utc_now())
    _print({"organisation_id": str(row.id), "name": row.name})


@organisation_group.command("permit")
@click.argument("organisation", type=click.UUID)
@click.argument("role", type=click.Choice([str(role) for role in Role]))
@click.argument("permission", type=click.Choice([str(p) for p in Permission]))
@click.option("--allow/--deny", default=None, help="Without either: as the default table says.")
def permit(organisation: UUID, role: str, permission: str, allow: bool | None) -> None:
    """Decide differently from the default table what a role may do in an organisation."""
    with _services("teleconsult-cli").database.begin() as db:
        overrides = service.permit(
            db,
            organisation_id=organisation,
            role=role,
            permission=permission,
            allow=allow,
            now=utc_now(),
        )
    _print({"organisation_id": str(organisation), "permissions": overrides})


@cli.group("client")
def client_group() -> None:
    """The programs that may call the API."""


@client_group.command("create")
@click.option("--organisation", type=click.UUID, required=True)
@click.option("--name", required=True, help="What it is, e.g. 'EHR'.")
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)))
def create_client(organisation: UUID, name: str, scopes: tuple[str, ...]) -> None:
    """Create credentials; the secret is shown this once. Without --scope: all scopes."""
    with _services("teleconsult-cli").database.begin() as db:
        made = service.create_client(
            db,
            organisation_id=organisation,
            name=name,
            scopes=scopes or sorted(SCOPES),
            now=utc_now(),
        )
    _print({"client_id": str(made.client.id), "client_secret": made.secret})


@client_group.command("revoke")
@click.argument("client_id", type=click.UUID)
def revoke_client(client_id: UUID) -> None:
    """Take a program's credentials away; tokens it has run out by themselves, within minutes."""
    with _services("teleconsult-cli").database.begin() as db:
        service.revoke_client(db, client_id=client_id, now=utc_now())
    _print({"client_id": str(client_id), "revoked": True})


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
def demo(as_json: bool) -> None:
    """Seed a demo hospital and print credentials and two links; again and again if you like."""
    from app.demo import seed

    seeded = seed(_services("teleconsult-cli"), now=utc_now())
    if as_json:
        _print(seeded)
        return
    for name, value in seeded.items():
        click.echo(f"{name:15} {value}")


@cli.command()
@click.option("--check", is_flag=True, help="Fail when docs/openapi.json is not current.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("docs/openapi.json"))
def openapi(check: bool, output: Path) -> None:
    """Write the OpenAPI document."""
    from app.describe import openapi_text

    text = openapi_text()
    if not check:
        output.write_text(text)
    elif not output.exists() or output.read_text() != text:
        raise click.ClickException(f"{output} is not current; run: teleconsult openapi")


def main() -> None:
    """Run the command line; a refusal is one sentence and exit code 1."""
    try:
        cli()
    except DomainError as error:
        click.echo(f"teleconsult: {error.detail}", err=True)
        sys.exit(1)


def _settings() -> Settings:
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(f"Settings: {error}") from error


def _services(application: str) -> Services:
    from app.observability import configure_logging
    from app.wiring import build_services

    settings = _settings()
    configure_logging(settings.log_level)
    return build_services(settings, application=application)


def _print(value: object) -> None:
    click.echo(json.dumps(value))


if __name__ == "__main__":
    main()
