"""Removing a person writes its audit entry in the same call, and the newest word counts in the room

As a statement of its own beside the function, the entry was planned anew at each removal; the function
keeps its plan. It returns the room's name, too, and says that it returns one row: PostgreSQL took the
one of migration 0075 for a thousand, and joined them with all sessions. An older order to put the same
person out, which the room has not confirmed, is dropped: repeated later, it would bring back its own end.

The function of migration 0075 stays beside it: an API that still runs while this is applied calls that.
"""

from alembic import op

revision = "0156"
down_revision = "0155"
branch_labels = None
depends_on = None

SIGNATURE = (
    "remove_participant(uuid, uuid, uuid, timestamptz, uuid, uuid, jsonb, timestamptz, timestamptz,"
    " uuid, text, text, text, jsonb, text, bytea)"
)
# Told and audited the first time, and when the time changes; the order is given again in any case.
REMOVE = """
    CREATE FUNCTION teleconference.remove_participant(
        p_organisation uuid, p_session uuid, p_participant uuid, p_now timestamptz, p_event uuid,
        p_command uuid, p_command_args jsonb, p_next_attempt timestamptz, p_until timestamptz,
        p_entry uuid, p_actor_kind text, p_actor text, p_action text, p_detail jsonb, p_key text,
        p_proof bytea)
    RETURNS TABLE (person teleconference.participants, room_name text)
    LANGUAGE plpgsql ROWS 1 SET search_path = teleconference, pg_temp AS $$
    #variable_conflict use_column
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
        INSERT INTO audit_entries (id, organisation_id, at, actor_kind, actor_id, action, outcome,
            session_id, participant_id, detail, key_id, proof)
          VALUES (p_entry, p_organisation, p_now, p_actor_kind, p_actor, p_action, 'done',
            p_session, p_participant, p_detail, p_key, p_proof);
      ELSE
        SELECT * INTO v_person FROM participants
          WHERE id = p_participant AND session_id = p_session;
        IF NOT FOUND THEN RETURN; END IF;
      END IF;
      UPDATE room_commands
        SET state = 'failed', finished_at = p_now, result = '{"dropped": "a newer order"}'
        WHERE session_id = p_session AND name = 'kick' AND state = 'pending'
          AND args ->> 'participant_id' = p_participant::text;
      INSERT INTO room_commands (id, organisation_id, session_id, name, args, state,
          next_attempt_at, created_at)
        VALUES (p_command, p_organisation, p_session, 'kick',
          p_command_args || jsonb_build_object('room', v_room) || jsonb_strip_nulls(
            jsonb_build_object('ban_until', extract(epoch FROM v_person.removed_until))),
          'pending', p_next_attempt, p_now);
      RETURN QUERY SELECT v_person, v_room;
    END $$"""


def upgrade() -> None:
    op.execute(REMOVE)
    op.execute(f"REVOKE ALL ON FUNCTION teleconference.{SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{SIGNATURE} TO role_telehealth")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION teleconference.{SIGNATURE}")
