"""Messages of every kind over several channels, reminders, and what each person wants of them

An occasion names what a message is about, so that neither a second relay nor a repeated event makes
it twice. `due_at` is when it was meant to leave; `next_attempt_at` moves with every claim.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0070"
down_revision = "0065"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
PREFERENCES = ("phone", "quiet_from", "quiet_to", "timezone")
UNIQUE = "uq_notifications_event_id_participant_id_kind"
ONCE = "uq_notifications_participant_id_kind_occasion_channel"
WRITTEN = """
    UPDATE teleconference.notifications n
    SET occasion = n.event_id::text, channel = 'email', due_at = n.created_at,
        session_id = p.session_id
    FROM teleconference.participants p WHERE p.id = n.participant_id"""


def upgrade() -> None:
    for name in PREFERENCES:
        op.add_column("participants", sa.Column(name, sa.Text()), schema=SCHEMA)
    op.add_column("participants", sa.Column("channels", postgresql.JSONB()), schema=SCHEMA)
    op.add_column(
        "participants",
        sa.Column(
            "unsubscribed",
            postgresql.JSONB(),
            server_default=sa.text("'[]'::jsonb"),
            nullable=False,
        ),
        schema=SCHEMA,
    )
    columns = (
        sa.Column("session_id", sa.Uuid()),
        sa.Column("occasion", sa.Text()),
        sa.Column("channel", sa.Text()),
        sa.Column("due_at", sa.TIMESTAMP(timezone=True)),
    )
    for column in columns:
        op.add_column("notifications", column, schema=SCHEMA)
    op.execute(WRITTEN)
    for column in columns:
        op.alter_column("notifications", column.name, nullable=False, schema=SCHEMA)
    constrain()


def constrain() -> None:
    op.create_foreign_key(
        "fk_notifications_session_id_sessions", "notifications", "sessions", ["session_id"], ["id"],
        source_schema=SCHEMA, referent_schema=SCHEMA,
    )  # fmt: skip
    op.create_check_constraint(
        "channel", "notifications", "channel IN ('email', 'sms', 'service')", schema=SCHEMA
    )
    op.drop_constraint(UNIQUE, "notifications", schema=SCHEMA)
    op.create_unique_constraint(
        ONCE, "notifications", ["participant_id", "kind", "occasion", "channel"], schema=SCHEMA
    )
    op.create_index(
        "ix_notifications_page", "notifications", ["session_id", "created_at", "id"], schema=SCHEMA
    )


def downgrade() -> None:
    op.drop_index("ix_notifications_page", "notifications", schema=SCHEMA)
    op.drop_constraint(ONCE, "notifications", schema=SCHEMA)
    # Several occasions of one event, or channels of one occasion, were not known before.
    op.execute("""
        DELETE FROM teleconference.notifications n USING teleconference.notifications older
        WHERE older.event_id = n.event_id AND older.participant_id = n.participant_id
          AND older.kind = n.kind AND older.id < n.id""")
    op.create_unique_constraint(
        UNIQUE, "notifications", ["event_id", "participant_id", "kind"], schema=SCHEMA
    )
    for name in ("session_id", "occasion", "channel", "due_at"):
        op.drop_column("notifications", name, schema=SCHEMA)
    for name in (*PREFERENCES, "channels", "unsubscribed"):
        op.drop_column("participants", name, schema=SCHEMA)
