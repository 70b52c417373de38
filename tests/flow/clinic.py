"""A hospital with people at its doors: invited over the API, with the tokens their links give."""

import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import jwt
import requests
from sqlalchemy import select, update

from app.audit.models import AuditEntry
from app.clock import utc_now
from app.ids import new_id
from app.localstack.supervisor import LocalStack
from app.organisations.keys import Signer
from app.participants.models import Link
from app.participants.seats import seat_by_code
from app.participants.tokens import mint
from app.services import Services
from tests.flow.forgery import Claims, signed
from tests.stack_client import StackClient

AUDITED_WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Guest:
    """One invited person."""

    id: str
    session: dict[str, Any]
    code: str
    token: str

    @property
    def room(self) -> str:
        """The name of the room they are invited to."""
        return str(self.session["room_name"])

    @property
    def claims(self) -> dict[str, Any]:
        """What their token says."""
        return dict(jwt.decode(self.token, options={"verify_signature": False}))

    @property
    def path(self) -> str:
        """Where the API knows them."""
        return f"/sessions/{self.session['id']}/participants/{self.id}"


@dataclass(frozen=True, slots=True)
class Clinic:
    """The whole stack in one hospital's hands, and behind its back."""

    stack: LocalStack
    hospital: StackClient
    services: Services

    @property
    def port(self) -> int:
        """Prosody's HTTP port."""
        return self.stack.ports["prosody_http"]

    @property
    def signer(self) -> Signer:
        """The key that signs real tokens."""
        return self.services.keys.signer(utc_now())

    def guest(
        self, role: str = "doctor", session: dict[str, Any] | None = None, **body: Any
    ) -> Guest:
        """Invite somebody, to a new open session unless one is named."""
        session = session or self.hospital.session()
        row = self.hospital.invite(session, role, **body)
        code = row["link"].rsplit("/", 1)[1]
        return Guest(row["id"], session, code, self.token(code))

    def token(self, code: str) -> str:
        """Mint what a link gives, also to those who would have to wait."""
        with self.services.database.statements() as db:
            seat = seat_by_code(db, code)
        assert seat is not None
        settings = self.services.settings
        minted = mint(seat, signer=self.signer, settings=settings, token_id=new_id(), now=utc_now())
        return minted.text

    def resigned(self, claims: Claims, **changes: Any) -> str:
        """Return an otherwise honest token with some other claims."""
        header = {"typ": "JWT", "alg": "RS256", "kid": self.signer.kid}
        return signed(header, {**claims, **changes}, self.signer.key)

    def do(self, method: str, path: str, **options: Any) -> requests.Response:
        """Have the hospital do something that must work."""
        answer = self.hospital.call(method, path, **options)
        assert answer.ok, answer.text
        return answer

    def answer(self, guest: Guest, body: dict[str, str]) -> None:
        """Let a person answer what their page asks them."""
        url = f"{self.stack.api_url}/j/{guest.code}/consents"
        answer = requests.post(url, json=body, timeout=10)
        assert answer.ok, answer.text

    def remove(self, guest: Guest) -> None:
        """Remove a person for good."""
        self.do("DELETE", guest.path)

    def expire_link(self, guest: Guest) -> None:
        """Let a person's link run out, as a week would."""
        with self.services.database.begin() as db:
            theirs = update(Link).where(Link.participant_id == UUID(guest.id))
            db.execute(theirs.values(expires_at=utc_now() - timedelta(seconds=1)))

    def refusals(self, since: datetime, **detail: str) -> list[AuditEntry]:
        """Return the refusals of one kind in the audit log since a moment."""
        query = select(AuditEntry).where(
            AuditEntry.outcome == "refused",
            AuditEntry.at >= since,
            AuditEntry.detail.contains(detail),
        )
        with self.services.database.begin() as db:
            return list(db.scalars(query.order_by(AuditEntry.id)))

    def audited(self, since: datetime, **detail: str) -> AuditEntry:
        """Wait for the one entry of a refusal: Prosody's own are told to the API afterwards."""
        arrived: list[AuditEntry] = []

        def has_come() -> bool:
            arrived[:] = self.refusals(since, **detail)
            return bool(arrived)

        assert until(has_come, AUDITED_WITHIN_S), f"no refusal {detail} in the audit log"
        assert len(arrived) == 1
        return arrived[0]


def until(condition: Callable[[], bool], within_s: float) -> bool:
    """Poll, gently: the machine has other work. Tell whether the condition came true in time."""
    end = time.monotonic() + within_s
    while not condition():
        if time.monotonic() > end:
            return False
        time.sleep(0.05)
    return True
