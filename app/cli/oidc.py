"""`teleconsult oidc`: the hospitals' own identity providers."""

from collections.abc import Sequence
from typing import Any, TextIO
from uuid import UUID

import click

from app.access import issuers, service, staff
from app.access.models import IdentityProvider
from app.access.scopes import resolve
from app.cli.context import as_json, services, show_facts, show_list
from app.clock import utc_now


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
    pages = f"{parts.settings.public_url}/staff"
    addresses = {
        "redirect_uri": f"{pages}/callback",
        "sign_in_uri": f"{pages}/sign-in/{organisation}",
    }
    show_facts({**_provider(made), **addresses}, as_json=as_json)


@oidc_group.command("list")
@click.option("--organisation", type=click.UUID, help="Without it: of all.")
@as_json
def list_providers(organisation: UUID | None, as_json: bool) -> None:
    """Show the issuers that are believed, for whom, and what their roles allow."""
    with services().database.begin() as db:
        found = service.list_providers(db, organisation_id=organisation)
    show_list([_provider(one) for one in found], as_json=as_json)


@oidc_group.command("remove")
@click.argument("provider_id", type=click.UUID)
@as_json
def remove_provider(provider_id: UUID, as_json: bool) -> None:
    """Stop believing an issuer; whoever signed in through it is out at once."""
    with services().database.begin() as db:
        service.remove_provider(db, provider_id=provider_id, now=utc_now())
    show_facts({"provider_id": str(provider_id), "removed": True}, as_json=as_json)


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
    show_facts({"subject": str(subject), "sessions_ended": ended}, as_json=as_json)


def _role(text: str) -> tuple[str, list[str]]:
    role, separator, names = text.partition("=")
    if not (role and separator):
        raise click.BadParameter(f"{text}: it wants ROLE=SCOPE,… or ROLE=SET.", param_hint="--role")
    try:
        return role, resolve(name.strip() for name in names.split(","))
    except ValueError as error:
        raise click.BadParameter(str(error), param_hint="--role") from error


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
