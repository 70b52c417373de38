"""Recordings, one live at most per session

The seat behind a link says how its session's newest recording stands, because the door asks it.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0111"
down_revision = "0110"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"
TABLE = "teleconference.recordings"
LIVE = "state IN ('requested', 'starting', 'active', 'stopping')"
COLUMNS = ", recording_state text, recording_reason text"
FIELDS = ", coalesce(rec.state, ''), rec.reason"
# A live one is always the newest.
NEWEST = """
    LEFT JOIN LATERAL (
        SELECT r.state, r.reason FROM recordings r WHERE r.session_id = s.id
        ORDER BY r.created_at DESC, r.id DESC LIMIT 1) rec ON true"""
# Where nothing is or was to be recorded nobody's word is looked for: this runs at every join.
IF_NEEDED = "AND (s.recording <> 'none' OR rec.state IS NOT NULL)"


def upgrade() -> None:
    create_recordings()
    op.create_index(
        "ix_room_commands_record_stop",
        "room_commands",
        ["session_id"],
        schema="teleconference",
        postgresql_where=sa.text("name = 'record_stop'"),
    )
    op.execute(f"ALTER TABLE {TABLE} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {TABLE} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {TABLE} TO role_telehealth")
    consents = context.script.get_revision("0110").module
    consents.replace_seats(
        consents.CONSENT_COLUMNS + COLUMNS,
        consents.CONSENT_FIELDS + FIELDS,
        NEWEST + consents.LAST_WORD.format(also=IF_NEEDED),
    )


def create_recordings() -> None:
    op.create_table(
        "recordings",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("requested_by_kind", sa.Text(), nullable=False),
        sa.Column("requested_by", sa.Text(), nullable=True),
        sa.Column("jitsi_session", sa.Text(), nullable=True),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("changed_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("stopped_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("withdrawn_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "state IN ('requested', 'starting', 'active', 'stopping', 'processing', 'failed')",
            name=op.f("ck_recordings_state"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_recordings")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_recordings_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["teleconference.sessions.id"], name=op.f("fk_recordings_session_id")
        ),
        schema="teleconference",
    )
    op.create_index(
        "ix_recordings_one_live_per_session",
        "recordings",
        ["session_id"],
        unique=True,
        schema="teleconference",
        postgresql_where=sa.text(LIVE),
    )
    op.create_index(
        "ix_recordings_session_page",
        "recordings",
        ["session_id", "created_at", "id"],
        schema="teleconference",
    )


def downgrade() -> None:
    consents = context.script.get_revision("0110").module
    consents.replace_seats(
        consents.CONSENT_COLUMNS, consents.CONSENT_FIELDS, consents.LAST_WORD.format(also="")
    )
    op.drop_index("ix_room_commands_record_stop", "room_commands", schema="teleconference")
    op.drop_table("recordings", schema="teleconference")
