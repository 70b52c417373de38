"""Who may watch a recording, and what of it they were handed."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    ForeignKey,
    Index,
    LargeBinary,
    UniqueConstraint,
    text,
)
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE
from sqlalchemy.orm import Mapped, mapped_column

from app.db.base import Base


class PlaybackLink(Base):
    """One person's way to one recording. Only the hash of its code is stored."""

    __tablename__ = "playback_links"
    __table_args__ = (
        CheckConstraint("views BETWEEN 0 AND max_views", name="views"),
        CheckConstraint(
            "(participant_id IS NULL) <> (viewer_reference IS NULL)", name="one_viewer"
        ),
        Index("ix_playback_links_page", "recording_id", "created_at", "id"),
        Index("ix_playback_links_session_id", "session_id"),
        Index(
            "ix_playback_links_participant_id",
            "participant_id",
            postgresql_where=text("participant_id IS NOT NULL"),
        ),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    recording_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.recordings.id"))
    # Somebody of the session, or somebody the hospital knows by a reference of its own.
    participant_id: Mapped[UUID | None] = mapped_column(
        ForeignKey("teleconference.participants.id")
    )
    viewer_reference: Mapped[str | None]
    # As it stands over the picture.
    viewer_name: Mapped[str]
    locale: Mapped[str]
    code_hash: Mapped[bytes] = mapped_column(LargeBinary, unique=True)
    expires_at: Mapped[datetime]
    max_views: Mapped[int]
    views: Mapped[int] = mapped_column(server_default="0")
    created_by_kind: Mapped[str]
    created_by: Mapped[str | None]
    revoked_at: Mapped[datetime | None]
    created_at: Mapped[datetime]


class PlaybackView(Base):
    """One use of a link, from the click on."""

    __tablename__ = "playback_views"
    __table_args__ = (
        Index("ix_playback_views_link", "link_id", "created_at", "id"),
        UniqueConstraint("link_id", "press_id"),
        Index("ix_playback_views_session_id", "session_id"),
    )

    id: Mapped[UUID] = mapped_column(primary_key=True)
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    session_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.sessions.id"))
    link_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.playback_links.id"))
    # Made by the page for one press, so that one whose answer was lost is not counted again. Empty
    # once the view is over and the same page began another.
    press_id: Mapped[UUID | None]
    expires_at: Mapped[datetime]
    created_at: Mapped[datetime]


class PlaybackDelivery(Base):
    """What of one file was handed out in one view, as merged stretches of bytes. The audit log is
    told when nothing was asked for a while (`playback.delivery`)."""

    __tablename__ = "playback_deliveries"
    __table_args__ = (
        # Few: what is being watched, or was a minute ago.
        Index(
            "ix_playback_deliveries_unnoted",
            "unnoted_since",
            postgresql_where=text("unnoted_since IS NOT NULL"),
        ),
        Index("ix_playback_deliveries_stored_id", "stored_id"),
    )

    view_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.playback_views.id"), primary_key=True
    )
    stored_id: Mapped[UUID] = mapped_column(
        ForeignKey("teleconference.stored_files.id"), primary_key=True
    )
    organisation_id: Mapped[UUID] = mapped_column(ForeignKey("teleconference.organisations.id"))
    size_bytes: Mapped[int] = mapped_column(BigInteger)
    delivered: Mapped[str] = mapped_column(INT8MULTIRANGE)
    last_at: Mapped[datetime]
    # Since when the audit log does not know all of it; empty: it does.
    unnoted_since: Mapped[datetime | None]
