"""An issuer that vouches for a hospital's people, as `teleconsult oidc add` sets it up."""

from collections.abc import Mapping, Sequence
from dataclasses import replace

from flask import Flask

from app.access import service
from app.access.issuers import Issuers
from app.access.models import IdentityProvider
from app.access.scopes import resolve
from app.adapters.identity_http import PlainIdentityHttp
from app.bulkhead import Bulkhead
from app.clock import utc_now
from app.factory import create_app
from app.services import Services
from tests.api.hospital import Hospital
from tests.issuer import AUDIENCE, CLIENT_ID, CLIENT_SECRET

ROLES: Mapping[str, Sequence[str]] = {
    "doctor": resolve(["clinic"]),
    "security": resolve(["secops"]),
    "porter": [],
}


class Clock:
    """Time as the test wants it."""

    def __init__(self) -> None:
        self.now_s = 1_000.0

    def __call__(self) -> float:
        """Return the present second."""
        return self.now_s

    def go_on(self, seconds: float) -> None:
        """Let time pass."""
        self.now_s += seconds


def vouch(
    services: Services,
    hospital: Hospital,
    issuer: str,
    *,
    roles: Mapping[str, Sequence[str]] = ROLES,
    roles_claim: str = "roles",
) -> IdentityProvider:
    """Have an issuer vouch for a hospital's people."""
    with services.database.begin() as db:
        return service.add_provider(
            db,
            services.vault,
            organisation_id=hospital.organisation_id,
            issuer=issuer,
            client_id=CLIENT_ID,
            client_secret=CLIENT_SECRET,
            audience=AUDIENCE,
            roles_claim=roles_claim,
            name_claim="name",
            role_scopes=roles,
            now=utc_now(),
        )


def process_at(services: Services, clock: Clock) -> Flask:
    """Return a fresh process of the API, which has met no issuer yet."""
    bulkhead = Bulkhead(4)
    issuers = Issuers(PlainIdentityHttp(bulkhead), bulkhead, clock=clock)
    return create_app(replace(services, issuers=issuers))


def forget_all(services: Services) -> None:
    """Have no issuer vouch for anybody: where one does, its sign-in opens without a choice."""
    with services.database.begin() as db:
        for provider in service.list_providers(db):
            service.remove_provider(db, provider_id=provider.id, now=utc_now())
