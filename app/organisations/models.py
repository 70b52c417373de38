"""Tenants, the programs that call the API for them, and the keys that sign Jitsi tokens."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ForeignKey, Index, LargeBinary, text
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class Organisation(Base):
    """A hospital, or a part of one, that must never see another's rows."""

    __tablename__ = "organisations"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    name: Mapped[str]
    locale: Mapped[str] = mapped_column(server_default="en")
    # {role: {permission: bool}}: what this organisation decides differently from the default table.
    permissions: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    # What this organisation decides differently from the defaults of `policy`.
    settings: Mapped[dict[str, Any]] = mapped_column(server_default=text("'{}'::jsonb"))
    version: Mapped[int] = mapped_column(server_default="1")
    created_at: Mapped[datetime]


class ApiClient(Base):
    """A program of the hospital that gets API tokens by OAuth 2.0 client credentials."""

    __tablename__ = "api_clients"

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    name: Mapped[str]
    scopes: Mapped[list[str]]
    created_at: Mapped[datetime]
    revoked_at: Mapped[datetime | None]


class ClientSecret(Base):
    """A secret of a program. Around a rotation it has two, so that it need not stop."""

    __tablename__ = "client_secrets"
    __table_args__ = (Index("ix_client_secrets_client_id", "client_id"),)

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    client_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.api_clients.id"))
    secret_hash: Mapped[bytes] = mapped_column(LargeBinary)
    created_at: Mapped[datetime]
    expires_at: Mapped[datetime | None]
    last_used_at: Mapped[datetime | None]


class SigningKey(Base):
    """A key pair for Jitsi tokens; the private half is stored encrypted (MASTER_KEYS)."""

    __tablename__ = "signing_keys"

    kid: Mapped[str] = mapped_column(primary_key=True)
    private_key: Mapped[bytes] = mapped_column(LargeBinary)
    public_pem: Mapped[str]
    created_at: Mapped[datetime]
    # Published before it signs, so that every Prosody has fetched it; None after retirement only.
    signs_from: Mapped[datetime]
    retired_at: Mapped[datetime | None]
