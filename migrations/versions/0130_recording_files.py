"""Files of recordings, and the parts they arrive in

What a recorder left of a recording that nobody knows has no organisation, and neither has what is
stored of it: the policies show such rows to the service itself alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0130"
down_revision = "0121"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
CURRENT = "current_setting('teleconsult.organisation_id', true)"
TABLES = ("recording_files", "recording_parts")
STATES = "'requested', 'starting', 'active', 'stopping', 'processing'"


def reference(name: str, table: str, **options: bool) -> sa.Column[object]:
    """Return a column that names a row of another table."""
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(f"{SCHEMA}.{table}.id"), **options)


def upgrade() -> None:
    allow_states(f"{STATES}, 'available', 'failed'")
    op.create_index(
        "ix_recordings_processing",
        "recordings",
        ["changed_at"],
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'processing'"),
    )
    op.create_index("ix_recordings_jitsi_session", "recordings", ["jitsi_session"], schema=SCHEMA)
    op.alter_column("stored_files", "organisation_id", nullable=True, schema=SCHEMA)
    create_files()
    op.create_table(
        "recording_parts",
        reference("file_id", "recording_files", primary_key=True),
        sa.Column("start", sa.BigInteger(), primary_key=True, autoincrement=False),
        reference("organisation_id", "organisations"),
        reference("stored_id", "stored_files", nullable=False),
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


def allow_states(states: str) -> None:
    """Say anew where a recording may stand."""
    op.drop_constraint("ck_recordings_state", "recordings", schema=SCHEMA)
    op.create_check_constraint(
        op.f("ck_recordings_state"), "recordings", f"state IN ({states})", schema=SCHEMA
    )


def create_files() -> None:
    moment, text, big = sa.DateTime(timezone=True), sa.Text(), sa.BigInteger()
    jsonb = sa.dialects.postgresql.JSONB()
    empty = sa.text("'[]'::jsonb")
    op.create_table(
        "recording_files",
        sa.Column("id", sa.Uuid(), primary_key=True),
        reference("organisation_id", "organisations"),
        reference("recording_id", "recordings"),
        sa.Column("folder", text, nullable=False),
        sa.Column("name", text, nullable=False),
        sa.Column("state", text, nullable=False),
        sa.Column("reason", text),
        sa.Column("findings", jsonb, server_default=empty, nullable=False),
        sa.Column("is_partial", sa.Boolean(), nullable=False),
        sa.Column("size_bytes", big, nullable=False),
        sa.Column("sha256", sa.LargeBinary(), nullable=False),
        sa.Column("received_bytes", big, server_default="0", nullable=False),
        sa.Column("seen", jsonb, server_default=empty, nullable=False),
        reference("content_id", "stored_files"),
        reference("playable_id", "stored_files"),
        reference("poster_id", "stored_files"),
        sa.Column("media_type", text),
        sa.Column("duration_ms", big),
        sa.Column("width", sa.Integer()),
        sa.Column("height", sa.Integer()),
        sa.Column("video_codec", text),
        sa.Column("audio_codec", text),
        sa.Column("progress", sa.Integer(), server_default="0", nullable=False),
        sa.Column("due_at", moment),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_at", moment, nullable=False),
        sa.Column("kept_at", moment),
        sa.Column("ready_at", moment),
        *checks(),
        schema=SCHEMA,
    )
    indexes = (
        ("named", ["folder", "name"], True, None),
        ("recording", ["recording_id", "created_at", "id"], False, None),
        ("due", ["due_at"], False, "due_at IS NOT NULL"),
        ("orphans", ["created_at", "id"], False, "recording_id IS NULL"),
    )
    for name, columns, unique, where in indexes:
        op.create_index(
            f"ix_recording_files_{name}",
            "recording_files",
            columns,
            unique=unique,
            schema=SCHEMA,
            postgresql_where=where and sa.text(where),
        )


def checks() -> list[sa.CheckConstraint]:
    rules = {
        "state": "state IN ('arriving', 'processing', 'available', 'withheld', 'orphaned', 'failed')",
        "received": "received_bytes BETWEEN 0 AND size_bytes",
        "owned": "recording_id IS NULL OR organisation_id IS NOT NULL",
        "orphan_is_shown_to_nobody": "recording_id IS NOT NULL"
        " OR state IN ('arriving', 'processing', 'orphaned')",
        "progress": "progress BETWEEN 0 AND 100",
    }
    return [sa.CheckConstraint(rule, name=name) for name, rule in rules.items()]


def downgrade() -> None:
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    op.alter_column("stored_files", "organisation_id", nullable=False, schema=SCHEMA)
    for name in ("processing", "jitsi_session"):
        op.drop_index(f"ix_recordings_{name}", "recordings", schema=SCHEMA)
    allow_states(f"{STATES}, 'failed'")
