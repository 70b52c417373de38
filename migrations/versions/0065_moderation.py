"""Moderation of microphones and cameras per session, and removals that end by themselves"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0065"
down_revision = "0060"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"


def upgrade() -> None:
    add_av_moderation()
    add_removed_until()


def add_av_moderation() -> None:
    op.create_table(
        "av_moderation",
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("audio", sa.Boolean(), nullable=False),
        sa.Column("video", sa.Boolean(), nullable=False),
        sa.Column("audio_allowed", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("video_allowed", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("session_id", name="pk_av_moderation"),
        sa.ForeignKeyConstraint(
            ["session_id"], ["teleconference.sessions.id"], name="fk_av_moderation_session_id"
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name="fk_av_moderation_organisation_id",
        ),
        schema="teleconference",
    )
    op.execute("ALTER TABLE teleconference.av_moderation ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY by_organisation ON teleconference.av_moderation TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON teleconference.av_moderation TO role_telehealth")


def add_removed_until() -> None:
    op.add_column(
        "participants",
        sa.Column("removed_until", sa.DateTime(timezone=True), nullable=True),
        schema="teleconference",
    )
    op.create_index(
        "ix_participants_removed_until",
        "participants",
        ["removed_until"],
        schema="teleconference",
        postgresql_where=sa.text("state = 'removed' AND removed_until IS NOT NULL"),
    )


def downgrade() -> None:
    op.drop_index("ix_participants_removed_until", "participants", schema="teleconference")
    op.drop_column("participants", "removed_until", schema="teleconference")
    op.drop_table("av_moderation", schema="teleconference")
