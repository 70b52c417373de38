"""Functions for what happens at every join, and for appending an event

A function keeps its plan from call to call; planning a three-table join anew costs more than
running it (measured in docs/architecture.md).
"""

from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

HOST_PRESENT = """EXISTS (
    SELECT FROM attendance a WHERE a.session_id = s.id AND a.left_at IS NULL AND a.is_host)"""

SEAT_COLUMNS = """
    organisation_id uuid, organisation_name text, organisation_permissions jsonb,
    session_id uuid, session_kind text, session_state text, room_name text, capacity integer,
    planned_start timestamptz, planned_end timestamptz,
    participant_id uuid, role text, participant_state text, display_name text, locale text,
    participant_permissions jsonb,
    link_id uuid, link_expires_at timestamptz, link_revoked_at timestamptz, host_present boolean"""

SEAT = f"""
    SELECT o.id, o.name, o.permissions, s.id, s.kind, s.state, s.room_name, s.capacity,
        s.planned_start, s.planned_end,
        p.id, p.role, p.state, p.display_name, p.locale, p.permissions,
        l.id, l.expires_at, l.revoked_at, {HOST_PRESENT}
    FROM links l
    JOIN participants p ON p.id = l.participant_id
    JOIN sessions s ON s.id = p.session_id
    JOIN organisations o ON o.id = s.organisation_id"""

APPEND_EVENT = """
    CREATE FUNCTION teleconference.append_event(
        p_id uuid, p_session uuid, p_type text, p_data jsonb, p_now timestamptz)
    RETURNS integer LANGUAGE plpgsql SET search_path = teleconference, pg_temp AS $$
    DECLARE v_sequence integer; v_organisation uuid;
    BEGIN
      UPDATE sessions SET event_sequence = event_sequence + 1 WHERE sessions.id = p_session
        RETURNING event_sequence, organisation_id INTO STRICT v_sequence, v_organisation;
      INSERT INTO events (id, organisation_id, session_id, sequence, type, data, created_at)
        VALUES (p_id, v_organisation, p_session, v_sequence, p_type, p_data, p_now);
      PERFORM pg_notify('teleconsult_events', '');
      RETURN v_sequence;
    END $$"""

PURGE = """
    CREATE FUNCTION teleconference.purge_expired(p_now timestamptz) RETURNS void
    LANGUAGE sql SECURITY DEFINER SET search_path = teleconference, pg_temp AS $$
      DELETE FROM idempotency_keys WHERE created_at < least(p_now, now()) - interval '24 hours';
      DELETE FROM room_events WHERE received_at < least(p_now, now()) - interval '7 days';
    $$"""


def upgrade() -> None:
    create_seat_function("seat_by_code", "p_code_hash bytea", "l.code_hash = p_code_hash")
    create_seat_function(
        "seat_by_link",
        "p_participant uuid, p_link uuid",
        "l.id = p_link AND p.id = p_participant",
    )
    op.execute(APPEND_EVENT)
    op.execute(PURGE)
    for function in (
        "seat_by_code(bytea)",
        "seat_by_link(uuid, uuid)",
        "append_event(uuid, uuid, text, jsonb, timestamptz)",
        "purge_expired(timestamptz)",
    ):
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{function} TO role_telehealth")


def create_seat_function(name: str, arguments: str, condition: str) -> None:
    # SECURITY DEFINER: whoever holds a link has no organisation yet; the row tells it.
    op.execute(f"""
        CREATE FUNCTION teleconference.{name}({arguments}) RETURNS TABLE ({SEAT_COLUMNS})
        LANGUAGE plpgsql STABLE SECURITY DEFINER SET search_path = teleconference, pg_temp AS $$
        #variable_conflict use_column
        BEGIN RETURN QUERY {SEAT} WHERE {condition}; END $$""")


def downgrade() -> None:
    op.execute("DROP FUNCTION teleconference.purge_expired(timestamptz)")
    op.execute("DROP FUNCTION teleconference.append_event(uuid, uuid, text, jsonb, timestamptz)")
    op.execute("DROP FUNCTION teleconference.seat_by_link(uuid, uuid)")
    op.execute("DROP FUNCTION teleconference.seat_by_code(bytea)")
