"""Removing a person in one step

Whoever removes somebody waits for it, and so does everybody in the room. One call instead of five
statements takes the locks and writes the rows, in the order of the whole service: the session's row
first, then the participant's. It returns nothing when there is no such participant.
"""

from alembic import op

revision = "0075"
down_revision = "0070"
branch_labels = None
depends_on = None

# Twice is no error, and the later word counts: a time may be changed or become for good, but for
# good stays so. The order is given again.
REMOVE = """
    CREATE FUNCTION teleconference.remove_participant(
        p_organisation uuid, p_session uuid, p_participant uuid, p_now timestamptz, p_event uuid,
        p_command uuid, p_command_args jsonb, p_next_attempt timestamptz, p_until timestamptz)
    RETURNS SETOF teleconference.participants
    LANGUAGE plpgsql SET search_path = teleconference, pg_temp AS $$
    DECLARE v_room text; v_person participants;
    BEGIN
      SELECT room_name INTO v_room FROM sessions
        WHERE id = p_session AND organisation_id = p_organisation FOR NO KEY UPDATE;
      IF NOT FOUND THEN RETURN; END IF;
      UPDATE participants SET state = 'removed', removed_at = p_now, removed_until = p_until,
          version = version + 1
        WHERE id = p_participant AND session_id = p_session
          AND (state <> 'removed' OR removed_until IS NOT NULL)
        RETURNING * INTO v_person;
      IF FOUND THEN
        IF p_until IS NULL THEN
          UPDATE links SET revoked_at = p_now
            WHERE participant_id = p_participant AND revoked_at IS NULL;
        END IF;
        PERFORM append_event(p_event, p_session, 'participant.removed', jsonb_build_object(
          'session_id', p_session, 'participant_id', v_person.id, 'role', v_person.role,
          'participant_reference', v_person.reference, 'until', p_until), p_now);
      ELSE
        SELECT * INTO v_person FROM participants
          WHERE id = p_participant AND session_id = p_session;
        IF NOT FOUND THEN RETURN; END IF;
      END IF;
      INSERT INTO room_commands (id, organisation_id, session_id, name, args, state,
          next_attempt_at, created_at)
        VALUES (p_command, p_organisation, p_session, 'kick',
          p_command_args || jsonb_build_object('room', v_room) || jsonb_strip_nulls(
            jsonb_build_object('ban_until', extract(epoch FROM v_person.removed_until))),
          'pending', p_next_attempt, p_now);
      RETURN NEXT v_person;
    END $$"""
SIGNATURE = (
    "remove_participant(uuid, uuid, uuid, timestamptz, uuid, uuid, jsonb, timestamptz, timestamptz)"
)


def upgrade() -> None:
    op.execute(REMOVE)
    op.execute(f"REVOKE ALL ON FUNCTION teleconference.{SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{SIGNATURE} TO role_telehealth")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION teleconference.{SIGNATURE}")
