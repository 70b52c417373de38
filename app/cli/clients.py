"""`teleconsult client`: the programs that may call the API."""

from collections.abc import Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import click

from app.access.scopes import SCOPE_SETS, SCOPES, resolve
from app.cli.context import as_json, moment, services, show, show_facts, show_list
from app.clock import utc_now
from app.organisations import clients
from app.organisations.clients import ListedClient

DEFAULT_SET = "hospital-system"
OVERLAP_H = 24.0


@click.group("client")
def client_group() -> None:
    """The programs that may call the API."""


@client_group.command("create")
@click.option("--organisation", type=click.UUID, required=True)
@click.option("--name", required=True, help="What it is, e.g. 'EHR'.")
@click.option("--team", "teams", multiple=True, type=click.Choice(sorted(SCOPE_SETS)))
@click.option("--scope", "scopes", multiple=True, type=click.Choice(sorted(SCOPES)))
@as_json
def create_client(
    organisation: UUID, name: str, teams: Sequence[str], scopes: Sequence[str], as_json: bool
) -> None:
    """Create credentials; the secret is shown this once.

    --team gives a named set of scopes (`teleconsult client scopes` lists them), --scope single
    ones. Without either: what a hospital's own system needs.
    """
    allowed = resolve([*teams, *scopes] or [DEFAULT_SET])
    with services().database.begin() as db:
        made = clients.create_client(
            db, organisation_id=organisation, name=name, scopes=allowed, now=utc_now()
        )
    facts = {"client_id": str(made.client.id), "client_secret": made.secret, "scopes": allowed}
    show_facts(facts, as_json=as_json)


@client_group.command("rotate")
@click.argument("client_id", type=click.UUID)
@click.option(
    "--overlap-h",
    type=click.FloatRange(0, 720),
    default=OVERLAP_H,
    show_default=True,
    help="For how many hours the old secret stays good.",
)
@click.option("--now", "at_once", is_flag=True, help="The old secret is no good from now on.")
@as_json
def rotate_client(client_id: UUID, overlap_h: float, at_once: bool, as_json: bool) -> None:
    """Give a program a new secret, shown this once; the old one stays good for a day."""
    overlap = timedelta(0) if at_once else timedelta(hours=overlap_h)
    now = utc_now()
    with services().database.begin() as db:
        made = clients.rotate_secret(db, client_id=client_id, overlap=overlap, now=now)
    facts = {
        "client_id": str(client_id),
        "client_secret": made.secret,
        "old_secret_until": moment(now + overlap),
    }
    show_facts(facts, as_json=as_json)


@client_group.command("revoke")
@click.argument("client_id", type=click.UUID)
@as_json
def revoke_client(client_id: UUID, as_json: bool) -> None:
    """Take a program's credentials away; tokens it has run out by themselves, within minutes."""
    with services().database.begin() as db:
        clients.revoke_client(db, client_id=client_id, now=utc_now())
    show_facts({"client_id": str(client_id), "revoked": True}, as_json=as_json)


@client_group.command("list")
@click.option("--organisation", type=click.UUID, help="Without it: of all.")
@as_json
def list_clients(organisation: UUID | None, as_json: bool) -> None:
    """Show programs, what they may do, and when each of their secrets was last used."""
    with services().database.begin() as db:
        found = clients.list_clients(db, organisation_id=organisation, now=utc_now())
    show_list([_client(one) for one in found], as_json=as_json)


@client_group.command("scopes")
@as_json
def list_scopes(as_json: bool) -> None:
    """Show every scope, and the named sets of them."""
    if as_json:
        show({"scopes": dict(SCOPES), "sets": {k: list(v) for k, v in SCOPE_SETS.items()}})
        return
    for scope, meaning in SCOPES.items():
        click.echo(f"{scope:24} {meaning}")
    for name, scopes in SCOPE_SETS.items():
        click.echo(f"\n{name}: {', '.join(scopes)}")


def _client(one: ListedClient) -> dict[str, Any]:
    client = one.client
    return {
        "client_id": str(client.id),
        "organisation_id": str(client.organisation_id),
        "name": client.name,
        "scopes": client.scopes,
        "revoked_at": moment(client.revoked_at),
        "secrets": [
            {
                "made_at": moment(secret.created_at),
                "until": moment(secret.expires_at),
                "last_used_at": moment(secret.last_used_at),
            }
            for secret in one.secrets
        ],
    }
