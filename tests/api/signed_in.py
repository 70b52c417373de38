"""Staff who is signed in, without an issuer."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID, uuid4

from app.access import service as access
from app.access import staff
from app.clock import utc_now
from app.services import Services


def sign_staff_in(services: Services, organisation_id: UUID, scopes: Sequence[str] = ()) -> str:
    """Sign a person in as the hospital's own issuer would; return the token of their cookie."""
    now = utc_now()
    with services.database.begin() as db:
        provider = access.add_provider(
            db,
            services.vault,
            organisation_id=organisation_id,
            issuer=f"https://{uuid4()}.example",
            client_id="x",
            client_secret=None,
            audience="x",
            roles_claim="roles",
            name_claim="name",
            role_scopes={},
            now=now,
        )
        return staff.sign_in(
            db,
            provider=provider,
            sign_in_id=uuid4(),
            subject=uuid4(),
            name="Ada Okafor",
            scopes=list(scopes),
            lifetime=staff.Lifetime(timedelta(1), timedelta(1)),
            now=now,
        )
