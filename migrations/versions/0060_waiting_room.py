"""The waiting room: who waits to be admitted to a session, and what was decided about them

The seat a link stands for says it too, since the door asks it at every join.
"""

import sqlalchemy as sa
from alembic import op

revision = "0060"
down_revision = "0050"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"

HOST_PRESENT = """EXISTS (
    SELECT FROM attendance a WHERE a.session_id = s.id AND a.left_at IS NULL AND a.is_host)"""

EARLY_JOIN = """coalesce(
    (o.settings #>> ARRAY['visit_types', s.visit_type, 'early_join_s'])::integer,
    (o.settings ->> 'early_join_s')::integer)"""

SEAT_COLUMNS = """
    organisation_id uuid, organisation_name text, organisation_permissions jsonb,
    session_id uuid, session_kind text, session_state text, room_name text, capacity integer,
    planned_start timestamptz, planned_end timestamptz,
    participant_id uuid, role text, participant_state text, display_name text, locale text,
    participant_permissions jsonb,
    link_id uuid, link_expires_at timestamptz, link_revoked_at timestamptz, host_present boolean,
    early_join_s integer"""
WAITING_COLUMNS = ", waiting_room boolean, admission text"

SEAT = f"""
    SELECT o.id, o.name, o.permissions, s.id, s.kind, s.state, s.room_name, s.capacity,
        s.planned_start, s.planned_end,
        p.id, p.role, p.state, p.display_name, p.locale, p.permissions,
        l.id, l.expires_at, l.revoked_at, {HOST_PRESENT}, {EARLY_JOIN} {{more}}
    FROM links l
    JOIN participants p ON p.id = l.participant_id
    JOIN sessions s ON s.id = p.session_id
    JOIN organisations o ON o.id = s.organisation_id
    {{join}}"""

SEAT_FUNCTIONS = (
    ("seat_by_code", "p_code_hash bytea", "l.code_hash = p_code_hash"),
    ("seat_by_link", "p_participant uuid, p_link uuid", "l.id = p_link AND p.id = p_participant"),
)


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("waiting_room", sa.Boolean(), server_default=sa.true(), nullable=False),
        schema="teleconference",
    )
    create_waiting()
    op.execute("ALTER TABLE teleconference.waiting ENABLE ROW LEVEL SECURITY")
    op.execute(
        "CREATE POLICY by_organisation ON teleconference.waiting TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute("GRANT SELECT, INSERT, UPDATE ON teleconference.waiting TO role_telehealth")
    replace_seat_functions(
        SEAT_COLUMNS + WAITING_COLUMNS,
        SEAT.format(
            more=", s.waiting_room, coalesce(w.state, '')",
            join="LEFT JOIN waiting w ON w.participant_id = p.id",
        ),
    )


def create_waiting() -> None:
    op.create_table(
        "waiting",
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("since", sa.DateTime(timezone=True), nullable=False),
        sa.Column("present_until", sa.DateTime(timezone=True), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=True),
        sa.Column("decided_by_kind", sa.Text(), nullable=True),
        sa.Column("decided_by", sa.Text(), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.CheckConstraint(
            "state IN ('waiting', 'admitted', 'denied')", name=op.f("ck_waiting_state")
        ),
        sa.ForeignKeyConstraint(
            ["participant_id"],
            ["teleconference.participants.id"],
            name=op.f("fk_waiting_participant_id"),
        ),
        sa.ForeignKeyConstraint(
            ["organisation_id"],
            ["teleconference.organisations.id"],
            name=op.f("fk_waiting_organisation_id"),
        ),
        sa.ForeignKeyConstraint(
            ["session_id"], ["teleconference.sessions.id"], name=op.f("fk_waiting_session_id")
        ),
        sa.PrimaryKeyConstraint("participant_id", name=op.f("pk_waiting")),
        schema="teleconference",
    )
    op.create_index(
        "ix_waiting_queue",
        "waiting",
        ["session_id", "state", "since", "participant_id"],
        schema="teleconference",
    )


def replace_seat_functions(columns: str, seat: str) -> None:
    for name, arguments, condition in SEAT_FUNCTIONS:
        types = ", ".join(each.split()[1] for each in arguments.split(", "))
        op.execute(f"DROP FUNCTION teleconference.{name}({types})")
        # SECURITY DEFINER: whoever holds a link has no organisation yet; the row tells it.
        op.execute(f"""
            CREATE FUNCTION teleconference.{name}({arguments}) RETURNS TABLE ({columns})
            LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = teleconference, pg_temp AS $$
            #variable_conflict use_column
            BEGIN RETURN QUERY {seat} WHERE {condition}; END $$""")
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{name}({types}) FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{name}({types}) TO role_telehealth")


def downgrade() -> None:
    replace_seat_functions(SEAT_COLUMNS, SEAT.format(more="", join=""))
    op.drop_table("waiting", schema="teleconference")
    op.drop_column("sessions", "waiting_room", schema="teleconference")
