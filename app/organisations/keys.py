"""The keys that sign Jitsi tokens: made, published, rotated, and held ready for signing.

A new key is published `PUBLISH_AHEAD` before it signs, so that every Prosody can have fetched it,
and a replaced key stays published until its last token has expired.
"""

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from sqlalchemy import ColumnElement, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import OPERATOR
from app.clock import utc_now
from app.db.engine import Database
from app.encryption import Vault
from app.errors import Unavailable
from app.ids import new_id
from app.organisations.models import SigningKey

PUBLISH_AHEAD = timedelta(minutes=10)
CACHE_FOR = timedelta(seconds=60)


@dataclass(frozen=True, slots=True)
class Signer:
    """A private key object with its id. The object is kept: parsing PEM costs 40 ms (measured)."""

    kid: str
    key: RSAPrivateKey


class KeyRing:
    """Gives the key that signs now; looks for a newer one once a minute."""

    def __init__(self, database: Database, vault: Vault) -> None:
        self._database = database
        self._vault = vault
        self._lock = threading.Lock()
        self._signer: Signer | None = None
        self._fresh_until = datetime.min.replace(tzinfo=utc_now().tzinfo)

    def signer(self, now: datetime) -> Signer:
        """Return the current signer.

        Raises:
            Unavailable: there is no key yet (`teleconsult keys rotate` makes one).
        """
        signer = self._signer
        if signer is None or now >= self._fresh_until:
            signer = self._refresh(now)
        return signer

    def _refresh(self, now: datetime) -> Signer:
        with self._lock, self._database.begin() as db:
            row = signing_row(db, now)
            if self._signer is None or self._signer.kid != row.kid:
                self._signer = Signer(row.kid, _load(self._vault.decrypt(row.private_key)))
            self._fresh_until = now + CACHE_FOR
            return self._signer


def signing_row(db: Session, now: datetime) -> SigningKey:
    """Return the newest key that may sign.

    Raises:
        Unavailable: there is none.
    """
    row = db.scalars(
        select(SigningKey)
        .where(SigningKey.signs_from <= now, _usable(now))
        .order_by(SigningKey.signs_from.desc())
        .limit(1)
    ).first()
    if row is None:
        raise Unavailable(
            "There is no signing key yet; run: teleconsult keys rotate", code="signing_key_missing"
        )
    return row


def rotate(db: Session, vault: Vault, *, token_ttl: timedelta, now: datetime) -> SigningKey:
    """Publish a new key and set when the older ones may be forgotten.

    The very first key signs at once; a later one after `PUBLISH_AHEAD`.

    Args:
        token_ttl: how long a token outlives the planned end of its session, or its making. With a
            planned end ahead it lives up to twice that (see `participants.tokens.mint`).
    """
    is_first = db.scalars(select(SigningKey.kid).limit(1)).first() is None
    signs_from = now if is_first else now + PUBLISH_AHEAD
    db.execute(
        update(SigningKey)
        .where(SigningKey.retired_at.is_(None))
        .values(retired_at=signs_from + CACHE_FOR + 2 * token_ttl)
    )
    row = _new_key(vault, signs_from=signs_from, now=now)
    db.add(row)
    audit.record(
        db,
        action="keys.rotated",
        actor=OPERATOR,
        now=now,
        organisation_id=None,
        detail={"kid": row.kid},
    )
    return row


def published(db: Session, now: datetime) -> Sequence[SigningKey]:
    """Return the keys whose tokens may still be valid, newest first."""
    return db.scalars(
        select(SigningKey).where(_usable(now)).order_by(SigningKey.signs_from.desc())
    ).all()


def _usable(now: datetime) -> ColumnElement[bool]:
    return SigningKey.retired_at.is_(None) | (SigningKey.retired_at > now)


def key_server_name(kid: str) -> str:
    """Return the file name under which Jitsi's key server option asks for a key.

    Source: jitsi-meet prosody-plugins token/util.lib.lua, `<asap_key_server>/<sha256(kid)>.pem`.
    """
    return sha256(kid.encode()).hexdigest() + ".pem"


def _new_key(vault: Vault, *, signs_from: datetime, now: datetime) -> SigningKey:
    key = generate_private_key(public_exponent=65537, key_size=2048)
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.PKCS8,
        serialization.NoEncryption(),
    )
    public = key.public_key().public_bytes(
        serialization.Encoding.PEM, serialization.PublicFormat.SubjectPublicKeyInfo
    )
    return SigningKey(
        kid=f"teleconsult-{new_id().hex[:16]}",
        private_key=vault.encrypt(private),
        public_pem=public.decode(),
        created_at=now,
        signs_from=signs_from,
        retired_at=None,
    )


def _load(pem: bytes) -> RSAPrivateKey:
    key = serialization.load_pem_private_key(pem, password=None)
    assert isinstance(key, RSAPrivateKey)
    return key
