"""Appointments and visits in the schema `clinical`, settings per organisation, and watched sessions

`sessions.due_at` is when the relay must next look whether a rule ends or flags the session; it is
empty once the session is over, so the index holds what is open and nothing else.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0040"
down_revision = "0030"
branch_labels = None
depends_on = None

DIRECTORY = ("patients", "providers")
OWN = ("appointments", "visits")
CURRENT = "current_setting('teleconsult.organisation_id', true)"

HOST_PRESENT = """EXISTS (
    SELECT FROM attendance a WHERE a.session_id = s.id AND a.left_at IS NULL AND a.is_host)"""

SEAT_COLUMNS = """
    organisation_id uuid, organisation_name text, organisation_permissions jsonb,
    session_id uuid, session_kind text, session_state text, room_name text, capacity integer,
    planned_start timestamptz, planned_end timestamptz,
    participant_id uuid, role text, participant_state text, display_name text, locale text,
    participant_permissions jsonb,
    link_id uuid, link_expires_at timestamptz, link_revoked_at timestamptz, host_present boolean"""

# The kind of visit first, then the organisation; NULL is the deployment's own.
EARLY_JOIN = """coalesce(
    (o.settings #>> ARRAY['visit_types', s.visit_type, 'early_join_s'])::integer,
    (o.settings ->> 'early_join_s')::integer)"""

SEAT = f"""
    SELECT o.id, o.name, o.permissions, s.id, s.kind, s.state, s.room_name, s.capacity,
        s.planned_start, s.planned_end,
        p.id, p.role, p.state, p.display_name, p.locale, p.permissions,
        l.id, l.expires_at, l.revoked_at, {HOST_PRESENT}{{more}}
    FROM links l
    JOIN participants p ON p.id = l.participant_id
    JOIN sessions s ON s.id = p.session_id
    JOIN organisations o ON o.id = s.organisation_id"""


def upgrade() -> None:
    extend_sessions()
    create_directory()
    create_appointments()
    create_visits()
    index_lists()
    protect()
    replace_seat_functions(
        columns=f"{SEAT_COLUMNS}, early_join_s integer", seat=SEAT.format(more=f", {EARLY_JOIN}")
    )


def extend_sessions() -> None:
    op.add_column(
        "organisations",
        sa.Column(
            "settings",
            postgresql.JSONB(astext_type=sa.Text()),
            server_default=sa.text("'{}'::jsonb"),
            nullable=False,
        ),
        schema="teleconference",
    )
    op.add_column(
        "organisations",
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        schema="teleconference",
    )
    for column in (
        sa.Column("visit_type", sa.Text(), nullable=True),
        sa.Column("overrun_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("due_at", sa.DateTime(timezone=True), nullable=True),
    ):
        op.add_column("sessions", column, schema="teleconference")
    op.execute(
        "UPDATE teleconference.sessions SET due_at = now() WHERE state IN ('scheduled', 'active')"
    )
    op.create_index(
        "ix_sessions_due",
        "sessions",
        ["due_at", "id"],
        schema="teleconference",
        postgresql_where=sa.text("due_at IS NOT NULL"),
    )


def create_directory() -> None:
    op.execute("CREATE SCHEMA clinical")
    for table in DIRECTORY:
        op.create_table(
            table,
            sa.Column("id", sa.Uuid(), nullable=False),
            organisation(),
            sa.Column("reference", sa.Text(), nullable=False),
            sa.Column("display_name", sa.Text(), nullable=False),
            sa.Column("email", sa.Text(), nullable=True),
            sa.Column("phone", sa.Text(), nullable=True),
            sa.Column("language", sa.Text(), nullable=True),
            sa.Column("is_active", sa.Boolean(), server_default="true", nullable=False),
            sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
            belongs(table),
            sa.PrimaryKeyConstraint("id", name=f"pk_{table}"),
            sa.UniqueConstraint(
                "organisation_id", "reference", name=f"uq_{table}_organisation_id_reference"
            ),
            schema="clinical",
        )


def create_appointments() -> None:
    op.create_table(
        "appointments",
        sa.Column("id", sa.Uuid(), nullable=False),
        organisation(),
        sa.Column("patient_id", sa.Uuid(), nullable=False),
        sa.Column("provider_id", sa.Uuid(), nullable=False),
        sa.Column("visit_type", sa.Text(), nullable=False),
        sa.Column("reference", sa.Text(), nullable=True),
        sa.Column("status", sa.Text(), nullable=False),
        sa.Column("status_since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("reason", sa.Text(), nullable=True),
        sa.Column("planned_start", sa.DateTime(timezone=True), nullable=False),
        sa.Column("planned_end", sa.DateTime(timezone=True), nullable=False),
        sa.Column("version", sa.Integer(), server_default="1", nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint(
            "status IN ('scheduled', 'arrived', 'in_progress', 'completed', 'cancelled',"
            " 'no_show')",
            name="ck_appointments_status",
        ),
        sa.CheckConstraint("planned_end > planned_start", name="ck_appointments_plan_in_order"),
        belongs("appointments"),
        sa.ForeignKeyConstraint(
            ["patient_id"], ["clinical.patients.id"], name="fk_appointments_patient_id"
        ),
        sa.ForeignKeyConstraint(
            ["provider_id"], ["clinical.providers.id"], name="fk_appointments_provider_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_appointments"),
        schema="clinical",
    )


def create_visits() -> None:
    op.create_table(
        "visits",
        sa.Column("id", sa.Uuid(), nullable=False),
        organisation(),
        sa.Column("appointment_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        belongs("visits"),
        sa.ForeignKeyConstraint(
            ["appointment_id"], ["clinical.appointments.id"], name="fk_visits_appointment_id"
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["teleconference.sessions.id"], name="fk_visits_session_id"
        ),
        sa.PrimaryKeyConstraint("id", name="pk_visits"),
        sa.UniqueConstraint("appointment_id", name="uq_visits_appointment_id"),
        sa.UniqueConstraint("session_id", name="uq_visits_session_id"),
        schema="clinical",
    )


def organisation() -> sa.Column[object]:
    return sa.Column("organisation_id", sa.Uuid(), nullable=False)


def belongs(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["organisation_id"],
        ["teleconference.organisations.id"],
        name=f"fk_{table}_organisation_id",
    )


def index_lists() -> None:
    for name, columns in {
        "ix_appointments_page": ["organisation_id"],
        "ix_appointments_status_page": ["organisation_id", "status"],
        "ix_appointments_provider_page": ["provider_id"],
        "ix_appointments_patient_page": ["patient_id"],
    }.items():
        op.create_index(name, "appointments", [*columns, "planned_start", "id"], schema="clinical")


def protect() -> None:
    op.execute("GRANT USAGE ON SCHEMA clinical TO role_telehealth")
    for table in (*DIRECTORY, *OWN):
        name = f"clinical.{table}"
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
            f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
        )
        rights = "SELECT" if table in DIRECTORY else "SELECT, INSERT, UPDATE"
        op.execute(f"GRANT {rights} ON {name} TO role_telehealth")


def replace_seat_functions(*, columns: str, seat: str) -> None:
    for name, types, arguments, condition in (
        ("seat_by_code", "bytea", "p_code_hash bytea", "l.code_hash = p_code_hash"),
        (
            "seat_by_link",
            "uuid, uuid",
            "p_participant uuid, p_link uuid",
            "l.id = p_link AND p.id = p_participant",
        ),
    ):
        # The columns of a function's answer cannot be changed.
        op.execute(f"DROP FUNCTION teleconference.{name}({types})")
        op.execute(f"""
            CREATE FUNCTION teleconference.{name}({arguments}) RETURNS TABLE ({columns})
            LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = teleconference, pg_temp AS $$
            #variable_conflict use_column
            BEGIN RETURN QUERY {seat} WHERE {condition}; END $$""")
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{name}({types}) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{name}({types}) TO role_telehealth")


def downgrade() -> None:
    replace_seat_functions(columns=SEAT_COLUMNS, seat=SEAT.format(more=""))
    for table in ("visits", "appointments", "providers", "patients"):
        op.drop_table(table, schema="clinical")
    op.execute("DROP SCHEMA clinical")
    op.drop_index("ix_sessions_due", "sessions", schema="teleconference")
    for column in ("due_at", "overrun_at", "visit_type"):
        op.drop_column("sessions", column, schema="teleconference")
    for column in ("version", "settings"):
        op.drop_column("organisations", column, schema="teleconference")
