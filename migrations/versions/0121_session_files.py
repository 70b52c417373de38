"""Files shared in a session, the parts they arrive in, and who looked at them"""

import sqlalchemy as sa
from alembic import op

revision = "0121"
down_revision = "0120"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
CURRENT = "current_setting('teleconsult.organisation_id', true)"
TABLES = ("session_files", "file_parts", "file_views")


def reference(name: str, table: str, **options: bool) -> sa.Column[object]:
    """Return a column that names a row of another table."""
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(f"{SCHEMA}.{table}.id"), **options)


def upgrade() -> None:
    create_files()
    op.create_table(
        "file_parts",
        reference("file_id", "session_files", primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        reference("organisation_id", "organisations", nullable=False),
        reference("stored_id", "stored_files", nullable=False),
        schema=SCHEMA,
    )
    op.create_table(
        "file_views",
        reference("file_id", "session_files", primary_key=True),
        reference("participant_id", "participants", primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        sa.Column("first_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_at", sa.DateTime(timezone=True), nullable=False),
        schema=SCHEMA,
    )
    for table in TABLES:
        name = f"{SCHEMA}.{table}"
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
            f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {name} TO role_telehealth")


def create_files() -> None:
    moment, text = sa.DateTime(timezone=True), sa.Text()
    op.create_table(
        "session_files",
        sa.Column("id", sa.Uuid(), primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        reference("session_id", "sessions", nullable=False),
        sa.Column("kind", text, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("received_bytes", sa.BigInteger(), server_default="0", nullable=False),
        sa.Column("media_type", text),
        sa.Column("shared_by_kind", text, nullable=False),
        sa.Column("shared_by", text, nullable=False),
        reference("author_id", "participants"),
        reference("supersedes_id", "session_files"),
        reference("content_id", "stored_files"),
        reference("preview_id", "stored_files"),
        sa.Column("reason", text),
        sa.Column("finding", text),
        sa.Column("due_at", moment),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("available_at", moment),
        sa.Column("deleted_at", moment),
        sa.CheckConstraint(
            "kind IN ('image', 'xray', 'document', 'prescription', 'report')", name="kind"
        ),
        sa.CheckConstraint(
            "state IN ('uploading', 'scanning', 'available', 'refused', 'quarantined', 'deleted')",
            name="state",
        ),
        sa.CheckConstraint(
            "(kind = 'prescription') = (author_id IS NOT NULL)", name="prescription_has_author"
        ),
        sa.CheckConstraint("received_bytes BETWEEN 0 AND size_bytes", name="received"),
        schema=SCHEMA,
    )
    indexes = (
        ("session", ["session_id", "created_at", "id"], False, None),
        ("due", ["due_at"], False, "due_at IS NOT NULL"),
        (
            "superseded_once",
            ["supersedes_id"],
            True,
            "state IN ('uploading', 'scanning', 'available')",
        ),
    )
    for name, columns, unique, where in indexes:
        op.create_index(
            f"ix_session_files_{name}",
            "session_files",
            columns,
            unique=unique,
            schema=SCHEMA,
            postgresql_where=where and sa.text(where),
        )


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
