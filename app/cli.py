"""`teleconsult`: run the service's processes and look after it."""

import sys
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import click

from app import cli_access
from app.cli_audit import audit_group
from app.cli_clinical import directory_group, set_policy, show_organisation
from app.clock import utc_now
from app.commands import services as _services
from app.commands import settings as _settings
from app.commands import show as _print
from app.errors import DomainError
from app.organisations import keys, service
from app.participants.permissions import Permission, Role

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
    apply(
        settings.migration_database_url,
        audit_keys=settings.audit_keys,
        audit_retention_days=settings.audit_retention_days,
    )


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
        done = reencrypt(db, services.vault, now=utc_now())
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


organisation_group.add_command(show_organisation)
organisation_group.add_command(set_policy)
cli.add_command(directory_group)
cli.add_command(cli_access.client_group)
cli.add_command(cli_access.oidc_group)


@cli.command()
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
def demo(as_json: bool) -> None:
    """Seed a demo hospital and print credentials and two links; again and again if you like."""
    from app.demo import seed

    seeded = seed(_services("teleconsult-cli"), now=utc_now())
    if as_json:
        _print(seeded)
        return
    for part in (seeded, *seeded.pop("appointments")):
        for name, value in part.items():
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


cli.add_command(audit_group)


def main() -> None:
    """Run the command line; a refusal is one sentence and exit code 1."""
    try:
        cli()
    except DomainError as error:
        click.echo(f"teleconsult: {error.detail}", err=True)
        sys.exit(1)


if __name__ == "__main__":
    main()
