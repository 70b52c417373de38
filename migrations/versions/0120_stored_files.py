"""Files at rest: where they lie, and their wrapped keys"""

import sqlalchemy as sa
from alembic import op

revision = "0120"
down_revision = "0111"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"
NAME = "teleconference.stored_files"


def upgrade() -> None:
    op.create_table(
        "stored_files",
        sa.Column("id", sa.Uuid(), primary_key=True),
        sa.Column(
            "organisation_id",
            sa.Uuid(),
            sa.ForeignKey("teleconference.organisations.id"),
            nullable=False,
        ),
        sa.Column("size_bytes", sa.BigInteger()),
        sa.Column("sha256", sa.LargeBinary()),
        sa.Column("wrapped_key", sa.LargeBinary()),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("destroyed_at", sa.DateTime(timezone=True)),
        sa.Column("erased_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("wrapped_key IS NULL OR destroyed_at IS NULL", name="destroyed"),
        sa.CheckConstraint("erased_at IS NULL OR wrapped_key IS NULL", name="erased"),
        schema="teleconference",
    )
    op.create_index(
        "ix_stored_files_to_erase",
        "stored_files",
        ["created_at"],
        schema="teleconference",
        postgresql_where=sa.text("wrapped_key IS NULL AND erased_at IS NULL"),
    )
    op.execute(f"ALTER TABLE {NAME} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {NAME} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {NAME} TO role_telehealth")


def downgrade() -> None:
    op.drop_table("stored_files", schema="teleconference")
