"""`teleconsult client` and `teleconsult oidc`: who may call the API.

Exit codes: 0 done; 1 refused, with one sentence on standard error; 2 not understood.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TextIO
from uuid import UUID

import click

from app.access import issuers, service, staff
from app.access.models import IdentityProvider
from app.access.scopes import SCOPE_SETS, SCOPES, resolve
from app.clock import utc_now
from app.commands import services, show
from app.organisations import clients
from app.organisations.clients import ListedClient

DEFAULT_SET = "hospital-system"
OVERLAP_H = 24.0
as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON only.")


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
    _print(facts, as_json=as_json)


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
    moment = utc_now()
    with services().database.begin() as db:
        made = clients.rotate_secret(db, client_id=client_id, overlap=overlap, now=moment)
    facts = {
        "client_id": str(client_id),
        "client_secret": made.secret,
        "old_secret_until": _text(moment + overlap),
    }
    _print(facts, as_json=as_json)


@client_group.command("revoke")
@click.argument("client_id", type=click.UUID)
@as_json
def revoke_client(client_id: UUID, as_json: bool) -> None:
    """Take a program's credentials away; tokens it has run out by themselves, within minutes."""
    with services().database.begin() as db:
        clients.revoke_client(db, client_id=client_id, now=utc_now())
    _print({"client_id": str(client_id), "revoked": True}, as_json=as_json)


@client_group.command("list")
@click.option("--organisation", type=click.UUID, help="Without it: of all.")
@as_json
def list_clients(organisation: UUID | None, as_json: bool) -> None:
    """Show programs, what they may do, and when each of their secrets was last used."""
    with services().database.begin() as db:
        found = clients.list_clients(db, organisation_id=organisation, now=utc_now())
    _print_list([_client(one) for one in found], as_json=as_json)


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


@click.group("oidc")
def oidc_group() -> None:
    """The hospitals' own identity providers (OpenID Connect)."""


@oidc_group.command("add")
@click.option("--organisation", type=click.UUID, required=True, help="Whose people it knows.")
@click.option("--issuer", required=True, help="Exactly as the issuer writes it in its tokens.")
@click.option("--client-id", required=True, help="Under which the issuer knows this service.")
@click.option(
    "--client-secret-file",
    type=click.File(),
    help="Holds our secret at the issuer; - reads it from standard input. None: PKCE alone.",
)
@click.option("--audience", help="`aud` of access tokens for the API. [default: the client id]")
@click.option("--roles-claim", default="roles", show_default=True, help="realm_access.roles works.")
@click.option("--name-claim", default="name", show_default=True)
@click.option(
    "--role",
    "roles",
    multiple=True,
    required=True,
    help="ROLE=SCOPE,SCOPE or ROLE=SET: what a role at the issuer allows here.",
)
@as_json
def add_provider(
    *,
    organisation: UUID,
    issuer: str,
    client_id: str,
    client_secret_file: TextIO | None,
    audience: str | None,
    roles_claim: str,
    name_claim: str,
    roles: Sequence[str],
    as_json: bool,
) -> None:
    """Let an issuer vouch for the people of one organisation."""
    if not issuers.is_safe(issuer):
        raise click.BadParameter("it must be https (or on this machine).", param_hint="--issuer")
    parts = services()
    with parts.database.begin() as db:
        made = service.add_provider(
            db,
            parts.vault,
            organisation_id=organisation,
            issuer=issuer,
            client_id=client_id,
            client_secret=client_secret_file.read().strip() if client_secret_file else None,
            audience=audience or client_id,
            roles_claim=roles_claim,
            name_claim=name_claim,
            role_scopes=dict(_role(text) for text in roles),
            now=utc_now(),
        )
    callback = f"{parts.settings.public_url}/staff/callback"
    _print({**_provider(made), "redirect_uri": callback}, as_json=as_json)


@oidc_group.command("list")
@click.option("--organisation", type=click.UUID, help="Without it: of all.")
@as_json
def list_providers(organisation: UUID | None, as_json: bool) -> None:
    """Show the issuers that are believed, for whom, and what their roles allow."""
    with services().database.begin() as db:
        found = service.list_providers(db, organisation_id=organisation)
    _print_list([_provider(one) for one in found], as_json=as_json)


@oidc_group.command("remove")
@click.argument("provider_id", type=click.UUID)
@as_json
def remove_provider(provider_id: UUID, as_json: bool) -> None:
    """Stop believing an issuer; whoever signed in through it is out at once."""
    with services().database.begin() as db:
        service.remove_provider(db, provider_id=provider_id, now=utc_now())
    _print({"provider_id": str(provider_id), "removed": True}, as_json=as_json)


@oidc_group.command("sign-out")
@click.argument("provider_id", type=click.UUID)
@click.argument("sub")
@as_json
def sign_out(provider_id: UUID, sub: str, as_json: bool) -> None:
    """End a person's sessions on our pages, and show the id the audit log has for them.

    SUB is what the issuer calls the person in its tokens.
    """
    with services().database.begin() as db:
        provider = service.provider_of(db, provider_id=provider_id)
        subject = service.subject_of(provider, sub)
        ended = staff.sign_out_everywhere(
            db, organisation_id=provider.organisation_id, subject=subject, now=utc_now()
        )
    _print({"subject": str(subject), "sessions_ended": ended}, as_json=as_json)


def _role(text: str) -> tuple[str, list[str]]:
    role, separator, names = text.partition("=")
    if not (role and separator):
        raise click.BadParameter(f"{text}: it wants ROLE=SCOPE,… or ROLE=SET.", param_hint="--role")
    try:
        return role, resolve(name.strip() for name in names.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from error


def _client(one: ListedClient) -> dict[str, Any]:
    client = one.client
    return {
        "client_id": str(client.id),
        "organisation_id": str(client.organisation_id),
        "name": client.name,
        "scopes": client.scopes,
        "revoked_at": _text(client.revoked_at),
        "secrets": [
            {
                "made_at": _text(secret.created_at),
                "until": _text(secret.expires_at),
                "last_used_at": _text(secret.last_used_at),
            }
            for secret in one.secrets
        ],
    }


def _provider(one: IdentityProvider) -> dict[str, Any]:
    return {
        "provider_id": str(one.id),
        "organisation_id": str(one.organisation_id),
        "issuer": one.issuer,
        "client_id": one.client_id,
        "audience": one.audience,
        "roles_claim": one.roles_claim,
        "name_claim": one.name_claim,
        "roles": one.role_scopes,
    }


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None


def _print_list(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    if as_json:
        show(list(rows))
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        _print(row, as_json=False)


def _print(facts: dict[str, Any], *, as_json: bool) -> None:
    if as_json:
        show(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:18} {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    return "-" if value is None else str(value)
