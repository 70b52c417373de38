"""`teleconsult directory`."""

from typing import Any, BinaryIO
from urllib.parse import urlsplit
from uuid import UUID

import click

from app.appointments import filling
from app.cli.context import services, show
from app.clock import utc_now
from app.db.engine import Database
from app.directory import service as directory


@click.group("directory")
def directory_group() -> None:
    """The patients and providers the service reads."""


@directory_group.command("import")
@click.argument("file", type=click.File("rb"))
@click.option("--organisation", type=click.UUID, required=True)
def import_directory(file: BinaryIO, organisation: UUID) -> None:
    """Write people from FILE, one JSON object a line, as the schema's owner.

    {"kind": "patient" or "provider", "reference": your id, "display_name": …, "email", "phone",
    "language", "active"}; a reference that is there already is replaced.
    """
    # Its audit entries need this process' keys.
    url = services().settings.migration_database_url
    if not url:
        raise click.ClickException("Set MIGRATION_DATABASE_URL to the owner's connection.")
    owner = Database(url, pool_size=1, application="teleconsult-cli")
    with owner.begin() as db:
        show(filling.fill(db, organisation_id=organisation, lines=file, now=utc_now()))


@directory_group.command("connect")
@click.argument("organisation", type=click.UUID)
@click.option("--protocol", type=click.Choice(["rest", "fhir"]), required=True)
@click.option("--patients", required=True, metavar="URL", help="Base of the Patient Service.")
@click.option("--providers", metavar="URL", help="Base of the Doctor Service; else the same.")
@click.option("--token-file", type=click.File("r"), help="Holds the bearer token both take.")
def connect_directory(
    organisation: UUID, protocol: str, patients: str, providers: str | None, token_file: Any
) -> None:
    """Read people from the hospital's own services, and tell them where visits stand."""
    for url in (patients, providers or patients):
        if urlsplit(url).scheme not in ("http", "https") or not urlsplit(url).netloc:
            raise click.ClickException(f"{url}: this is no http or https address.")
    token = token_file.read().strip() if token_file else ""
    held = services()
    with held.database.begin() as db:
        directory.connect(
            db,
            organisation_id=organisation,
            protocol=protocol,
            patients_url=patients.rstrip("/"),
            providers_url=(providers or patients).rstrip("/"),
            token=held.vault.encrypt(token.encode()) if token else None,
            now=utc_now(),
        )
    show({"organisation_id": str(organisation), "protocol": protocol})


@directory_group.command("disconnect")
@click.argument("organisation", type=click.UUID)
def disconnect_directory(organisation: UUID) -> None:
    """Ask and tell the hospital's own services nothing any more; people known here stay."""
    with services().database.begin() as db:
        directory.disconnect(db, organisation_id=organisation, now=utc_now())
    show({"organisation_id": str(organisation)})
