"""At which hospital somebody signs in, without a list of all hospitals for everybody to read."""

from collections.abc import Mapping
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.access.models import IdentityProvider
from app.errors import NotFound
from app.organisations.models import Organisation


def with_sign_in(db: Session) -> Mapping[UUID, str]:
    """Return the hospitals whose people can sign in, by id, with their names.

    Raises:
        NotFound: there is none.
    """
    theirs = IdentityProvider.organisation_id == Organisation.id
    rows = db.execute(
        select(Organisation.id, Organisation.name)
        .join(IdentityProvider, theirs)
        .where(IdentityProvider.removed_at.is_(None))
        .distinct()
    )
    found = {row.id: row.name for row in rows}
    if not found:
        raise NotFound("There is no such identity provider.", code="provider_not_found")
    return found


def called(hospitals: Mapping[UUID, str], name: str) -> UUID | None:
    """Return the one hospital of this name, however it is spaced and capitalised."""
    wanted = _plain(name)
    found = [hospital for hospital, its_name in hospitals.items() if _plain(its_name) == wanted]
    return found[0] if len(found) == 1 else None


def _plain(name: str) -> str:
    return " ".join(name.split()).casefold()
