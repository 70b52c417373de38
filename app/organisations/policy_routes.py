"""`/organisation`: the caller's own organisation and its policy."""

from typing import Any

from sqlalchemy.orm import Session

from app.organisations import policy_service
from app.organisations.policy_schemas import OrganisationOut, OrganisationPatch
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.idempotency import idempotent
from app.web.transactions import transactional
from app.web.versions import conditional, etag

blp = Blueprint("organisation", __name__, description="The organisation and its rules for visits")


@blp.route("/organisation", methods=["GET"])
@transactional
@requires("organisation:read")
@blp.response(200, OrganisationOut)
def read_organisation(*, db: Session, caller: Caller) -> Any:
    """Read the organisation with its policy, defaults included."""
    found = policy_service.get(db, organisation_id=caller.organisation_id)
    return policy_service.shown(found), {"ETag": etag(found.version)}


@blp.route("/organisation", methods=["PATCH"])
@transactional
@requires("organisation:manage")
@idempotent
@conditional
@blp.arguments(OrganisationPatch)
@blp.response(200, OrganisationOut)
def change_organisation(body: dict[str, Any], *, db: Session, caller: Caller, version: int) -> Any:
    """Change name, language or policy. Running sessions follow within five minutes. To keep
    anything for less time than before needs `recordings:delete`, too."""
    changed = policy_service.change(
        db,
        organisation_id=caller.organisation_id,
        version=version,
        values=body,
        may_shorten="recordings:delete" in caller.scopes,
        actor=actor_of(caller),
        now=now(),
    )
    return policy_service.shown(changed), {"ETag": etag(changed.version)}
