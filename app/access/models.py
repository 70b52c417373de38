"""Who vouches for the hospital's people, and who of them is signed in."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, UniqueConstraint, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class IdentityProvider(Base):
    """An OpenID Connect issuer of one organisation. It speaks for that organisation only."""

    __tablename__ = "identity_providers"
    __table_args__ = (
        # Whose person a token names is known by its issuer alone, so no two may have the same one.
        Index(
            "ix_identity_providers_one_per_issuer",
            "issuer",
            unique=True,
            postgresql_where=text("removed_at IS NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    issuer: Mapped[str]
    client_id: Mapped[str]
    # Encrypted with MASTER_KEYS; None for a public client, which PKCE alone protects.
    client_secret: Mapped[bytes | None] = mapped_column(LargeBinary)
    # `aud` of the access tokens that call the API.
    audience: Mapped[str]
    roles_claim: Mapped[str]
    name_claim: Mapped[str]
    # {role at the issuer: [scope]}
    role_scopes: Mapped[dict[str, Any]]
    created_at: Mapped[datetime]
    removed_at: Mapped[datetime | None]


class StaffSession(Base):
    """A member of staff who signed in on our pages; the cookie's token is stored as a hash."""

    __tablename__ = "staff_sessions"
    __table_args__ = (
        UniqueConstraint("token_hash"),
        # An answer of the issuer can be used for one session only.
        UniqueConstraint("sign_in_id"),
        Index("ix_staff_sessions_subject", "subject"),
        Index("ix_staff_sessions_expires_at", "expires_at"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    provider_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.identity_providers.id"))
    sign_in_id: Mapped[UUID]
    token_hash: Mapped[bytes] = mapped_column(LargeBinary)
    subject: Mapped[UUID]
    name: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    last_seen_at: Mapped[datetime]
    expires_at: Mapped[datetime]
    ended_at: Mapped[datetime | None]
