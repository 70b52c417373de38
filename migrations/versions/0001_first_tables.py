"""First tables"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "organisations",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("locale", sa.Text(), server_default="en", nullable=False),
        sa.Column(
            "permissions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_organisations")),
        schema="teleconference",
    )
    op.create_table(
        "room_events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("received_at", sa.DateTime(timezone=True), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_events")),
        schema="teleconference",
    )
    op.create_table(
        "signing_keys",
        sa.Column("kid", sa.Text(), nullable=False),
        sa.Column("private_key", sa.LargeBinary(), nullable=False),
        sa.Column("public_pem", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("signs_from", sa.DateTime(timezone=True), nullable=False),
        sa.Column("retired_at", sa.DateTime(timezone=True), nullable=True),
        sa.PrimaryKeyConstraint("kid", name=op.f("pk_signing_keys")),
        schema="teleconference",
    )
    op.create_table(
        "api_clients",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("last_used_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_api_clients_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_api_clients")),
        schema="teleconference",
    )
    op.create_table(
        "audit_entries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("action", sa.Text(), nullable=False),
        sa.Column("outcome", sa.Text(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=True),
        sa.Column("participant_id", sa.Uuid(), nullable=True),
        sa.Column(
            "detail",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_audit_entries_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_entries")),
        schema="teleconference",
    )
    op.create_index(
        "ix_audit_entries_page",
        "audit_entries",
        ["organisation_id", "at", "id"],
        unique=False,
        schema="teleconference",
    )
    op.create_table(
        "idempotency_keys",
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("request_hash", sa.LargeBinary(), nullable=False),
        sa.Column("status", sa.Integer(), nullable=True),
        sa.Column("answer", sa.LargeBinary(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_idempotency_keys_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("organisation_id", "key", name=op.f("pk_idempotency_keys")),
        schema="teleconference",
    )
    op.create_table(
        "sessions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("room_name", sa.Text(), nullable=False),
        sa.Column("capacity", sa.Integer(), nullable=False),
        sa.Column("planned_start", sa.DateTime(timezone=True), nullable=True),
        sa.Column("planned_end", sa.DateTime(timezone=True), nullable=True),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("ended_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("end_reason", sa.Text(), nullable=True),
        sa.Column("event_sequence", sa.Integer(), server_default="0", nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("kind IN ('consultation', 'emergency')", name=op.f("ck_sessions_kind")),
        sa.CheckConstraint(
            "state IN ('scheduled', 'active', 'ended', 'cancelled')",
            name=op.f("ck_sessions_state"),
        ),
        sa.CheckConstraint("capacity BETWEEN 1 AND 100", name=op.f("ck_sessions_capacity")),
        sa.CheckConstraint("planned_end > planned_start", name=op.f("ck_sessions_plan_in_order")),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_sessions_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_sessions")),
        sa.UniqueConstraint("room_name", name=op.f("uq_sessions_room_name")),
        schema="teleconference",
    )
    op.create_index(
        "ix_sessions_reference",
        "sessions",
        ["organisation_id", "reference"],
        unique=False,
        schema="teleconference",
    )
    op.create_index(
        "ix_sessions_page",
        "sessions",
        ["organisation_id", "created_at", "id"],
        unique=False,
        schema="teleconference",
    )
    op.create_index(
        "ix_sessions_state_page",
        "sessions",
        ["organisation_id", "state", "created_at", "id"],
        unique=False,
        schema="teleconference",
    )
    op.create_table(
        "webhook_subscriptions",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("url", sa.Text(), nullable=False),
        sa.Column("event_types", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("secret", sa.LargeBinary(), nullable=False),
        sa.Column("is_active", sa.Boolean(), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_webhook_subscriptions_organisation_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_subscriptions")),
        sa.UniqueConstraint(
            "organisation_id",
            "url",
            name=op.f("uq_webhook_subscriptions_organisation_id_url"),
        ),
        schema="teleconference",
    )
    op.create_table(
        "events",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("type", sa.Text(), nullable=False),
        sa.Column("data", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("relayed_at", sa.DateTime(timezone=True), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_events_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["teleconference.sessions.id"],
            name=op.f("fk_events_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_events")),
        sa.UniqueConstraint("session_id", "sequence", name=op.f("uq_events_session_id_sequence")),
        schema="teleconference",
    )
    op.create_index(
        "ix_events_page",
        "events",
        ["organisation_id", "created_at", "id"],
        unique=False,
        schema="teleconference",
    )
    op.create_index(
        "ix_events_unrelayed",
        "events",
        ["id"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("relayed_at IS NULL"),
    )
    op.create_table(
        "participants",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("role", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("display_name", sa.Text(), nullable=False),
        sa.Column("email", sa.Text(), nullable=True),
        sa.Column("locale", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column(
            "permissions",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        sa.Column("removed_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "role IN ('doctor', 'nurse', 'patient', 'paramedic', 'interpreter', 'relative', 'observer')",
            name=op.f("ck_participants_role"),
        ),
        sa.CheckConstraint(
            "state IN ('invited', 'joined', 'left', 'removed')",
            name=op.f("ck_participants_state"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_participants_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["teleconference.sessions.id"],
            name=op.f("fk_participants_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_participants")),
        schema="teleconference",
    )
    op.create_index(
        "ix_participants_session",
        "participants",
        ["session_id", "created_at", "id"],
        unique=False,
        schema="teleconference",
    )
    op.create_table(
        "room_commands",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("args", postgresql.JSONB(astext_type=sa.Text()), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("result", postgresql.JSONB(astext_type=sa.Text()), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("finished_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'confirmed', 'failed')",
            name=op.f("ck_room_commands_state"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_room_commands_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["teleconference.sessions.id"],
            name=op.f("fk_room_commands_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_room_commands")),
        schema="teleconference",
    )
    op.create_index(
        "ix_room_commands_pending",
        "room_commands",
        ["next_attempt_at"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "attendance",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("is_host", sa.Boolean(), nullable=False),
        sa.Column("source", sa.Text(), nullable=False),
        sa.Column("connection", sa.Text(), nullable=False),
        sa.Column("joined_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("left_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("leave_reason", sa.Text(), nullable=True),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_attendance_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["teleconference.participants.id"],
            name=op.f("fk_attendance_participant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["teleconference.sessions.id"],
            name=op.f("fk_attendance_session_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_attendance")),
        schema="teleconference",
    )
    op.create_index(
        "ix_attendance_one_open_per_connection",
        "attendance",
        ["participant_id", "connection"],
        unique=True,
        schema="teleconference",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_index(
        "ix_attendance_open",
        "attendance",
        ["source"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.create_index(
        "ix_attendance_session",
        "attendance",
        ["session_id", "joined_at"],
        unique=False,
        schema="teleconference",
    )
    op.create_table(
        "links",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False),
        sa.Column("key_id", sa.Text(), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("revoked_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_links_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["teleconference.participants.id"],
            name=op.f("fk_links_participant_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_links")),
        sa.UniqueConstraint("code_hash", name=op.f("uq_links_code_hash")),
        schema="teleconference",
    )
    op.create_index(
        "ix_links_one_live_per_participant",
        "links",
        ["participant_id"],
        unique=True,
        schema="teleconference",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'sent', 'failed', 'dropped')",
            name=op.f("ck_notifications_state"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["teleconference.events.id"],
            name=op.f("fk_notifications_event_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_notifications_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["teleconference.participants.id"],
            name=op.f("fk_notifications_participant_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_notifications")),
        sa.UniqueConstraint(
            "event_id",
            "participant_id",
            "kind",
            name=op.f("uq_notifications_event_id_participant_id_kind"),
        ),
        schema="teleconference",
    )
    op.create_index(
        "ix_notifications_due",
        "notifications",
        ["next_attempt_at"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_table(
        "webhook_deliveries",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("subscription_id", sa.Uuid(), nullable=False),
        sa.Column("event_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("sequence", sa.Integer(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_status", sa.Integer(), nullable=True),
        sa.Column("last_error", sa.Text(), nullable=True),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("delivered_at", sa.DateTime(timezone=True), nullable=True),
        sa.CheckConstraint(
            "state IN ('pending', 'delivered', 'failed')",
            name=op.f("ck_webhook_deliveries_state"),
        ),
        sa.ForeignKeyConstraint(
            ["event_id"],
            ["teleconference.events.id"],
            name=op.f("fk_webhook_deliveries_event_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_webhook_deliveries_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"],
            ["teleconference.sessions.id"],
            name=op.f("fk_webhook_deliveries_session_id"),
        ),
        sa.ForeignKeyConstraint(
            ["subscription_id"],
            ["teleconference.webhook_subscriptions.id"],
            name=op.f("fk_webhook_deliveries_subscription_id"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_webhook_deliveries")),
        sa.UniqueConstraint(
            "subscription_id",
            "event_id",
            name=op.f("uq_webhook_deliveries_subscription_id_event_id"),
        ),
        schema="teleconference",
    )
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        ["next_attempt_at"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.create_index(
        "ix_webhook_deliveries_pending",
        "webhook_deliveries",
        ["subscription_id", "session_id", "sequence"],
        unique=False,
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.drop_index(
        "ix_webhook_deliveries_pending",
        table_name="webhook_deliveries",
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_index(
        "ix_webhook_deliveries_due",
        table_name="webhook_deliveries",
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_table("webhook_deliveries", schema="teleconference")
    op.drop_index(
        "ix_notifications_due",
        table_name="notifications",
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_table("notifications", schema="teleconference")
    op.drop_index(
        "ix_links_one_live_per_participant",
        table_name="links",
        schema="teleconference",
        postgresql_where=sa.text("revoked_at IS NULL"),
    )
    op.drop_table("links", schema="teleconference")
    op.drop_index("ix_attendance_session", table_name="attendance", schema="teleconference")
    op.drop_index(
        "ix_attendance_open",
        table_name="attendance",
        schema="teleconference",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.drop_index(
        "ix_attendance_one_open_per_connection",
        table_name="attendance",
        schema="teleconference",
        postgresql_where=sa.text("left_at IS NULL"),
    )
    op.drop_table("attendance", schema="teleconference")
    op.drop_index(
        "ix_room_commands_pending",
        table_name="room_commands",
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )
    op.drop_table("room_commands", schema="teleconference")
    op.drop_index("ix_participants_session", table_name="participants", schema="teleconference")
    op.drop_table("participants", schema="teleconference")
    op.drop_index(
        "ix_events_unrelayed",
        table_name="events",
        schema="teleconference",
        postgresql_where=sa.text("relayed_at IS NULL"),
    )
    op.drop_index("ix_events_page", table_name="events", schema="teleconference")
    op.drop_table("events", schema="teleconference")
    op.drop_table("webhook_subscriptions", schema="teleconference")
    op.drop_index("ix_sessions_state_page", table_name="sessions", schema="teleconference")
    op.drop_index("ix_sessions_reference", table_name="sessions", schema="teleconference")
    op.drop_index("ix_sessions_page", table_name="sessions", schema="teleconference")
    op.drop_table("sessions", schema="teleconference")
    op.drop_table("idempotency_keys", schema="teleconference")
    op.drop_index("ix_audit_entries_page", table_name="audit_entries", schema="teleconference")
    op.drop_table("audit_entries", schema="teleconference")
    op.drop_table("api_clients", schema="teleconference")
    op.drop_table("signing_keys", schema="teleconference")
    op.drop_table("room_events", schema="teleconference")
    op.drop_table("organisations", schema="teleconference")
