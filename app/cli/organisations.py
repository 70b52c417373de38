"""`teleconsult organisation`."""

import json
from typing import Any
from uuid import UUID

import click
from marshmallow import ValidationError

from app.audit.service import OPERATOR
from app.cli.context import services, show
from app.clock import utc_now
from app.organisations import policy_service, service
from app.organisations.policy_schemas import OrganisationPatch
from app.participants.permissions import Permission, Role


@click.group("organisation")
def organisation_group() -> None:
    """The hospitals of this deployment."""


@organisation_group.command("create")
@click.argument("name")
@click.option("--locale", type=click.Choice(["en", "de", "fr"]), default="en", show_default=True)
def create_organisation(name: str, locale: str) -> None:
    """Create an organisation and print its id."""
    with services().database.begin() as db:
        row = service.create_organisation(db, name=name, locale=locale, now=utc_now())
    show({"organisation_id": str(row.id), "name": row.name})


@organisation_group.command("permit")
@click.argument("organisation", type=click.UUID)
@click.argument("role", type=click.Choice([str(role) for role in Role]))
@click.argument("permission", type=click.Choice([str(p) for p in Permission]))
@click.option("--allow/--deny", default=None, help="Without either: as the default table says.")
def permit(organisation: UUID, role: str, permission: str, allow: bool | None) -> None:
    """Decide differently from the default table what a role may do in an organisation."""
    with services().database.begin() as db:
        overrides = service.permit(
            db,
            organisation_id=organisation,
            role=role,
            permission=permission,
            allow=allow,
            now=utc_now(),
        )
    show({"organisation_id": str(organisation), "permissions": overrides})


@organisation_group.command("show")
@click.argument("organisation", type=click.UUID)
def show_organisation(organisation: UUID) -> None:
    """Print an organisation with its policy, defaults included."""
    with services().database.begin() as db:
        found = policy_service.get(db, organisation_id=organisation)
        show({**policy_service.shown(found), "id": str(organisation)})


@organisation_group.command("set")
@click.argument("organisation", type=click.UUID)
@click.argument("decisions", nargs=-1, required=True, metavar="FIELD=VALUE...")
@click.option("--visit-type", help="Only for this kind of visit.")
def set_policy(organisation: UUID, decisions: tuple[str, ...], visit_type: str | None) -> None:
    """Decide about visits: late_after_s=600 waiting_room=false reminders_s=[7200].

    Values are JSON, or plain text; null returns to the default.
    """
    policy: dict[str, Any] = dict(_decision(one) for one in decisions)
    if visit_type:
        policy = {"visit_types": {visit_type: policy}}
    try:
        values = OrganisationPatch().load({"policy": policy})
    except ValidationError as error:
        raise click.ClickException(json.dumps(error.normalized_messages())) from error
    with services().database.begin() as db:
        changed = policy_service.change(
            db,
            organisation_id=organisation,
            version=None,
            values=values,
            may_shorten=True,
            actor=OPERATOR,
            now=utc_now(),
        )
        show({**policy_service.shown(changed), "id": str(organisation)})


def _decision(text: str) -> tuple[str, Any]:
    name, equals, value = text.partition("=")
    if not equals:
        raise click.ClickException(f"{text}: write FIELD=VALUE.")
    try:
        return name, json.loads(value)
    except json.JSONDecodeError:
        return name, value
