"""Who was learned from the hospital's own service, and which press began a view

Retention deletes copies of those who can be learned again, and marks whose contacts went. A press
on the page of a recording counts once, though its answer was lost.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0151"
down_revision = "0150"
branch_labels = None
depends_on = None

PEOPLE = ("patients", "providers")
PRESS = "uq_playback_views_link_id_press_id"
OWNERS = """LANGUAGE plpgsql SECURITY DEFINER SET search_path = teleconference, clinical, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# As migration 0080 has it, and besides: who was learned from the hospital's own service can be read
# there again. Who was known before this migration counts as learned once they are read anew.
LEARN = """
    CREATE OR REPLACE FUNCTION clinical.learn_person(p_kind text, p_id uuid, p_organisation uuid,
        p_reference text, p_display_name text, p_email text, p_phone text, p_language text,
        p_is_active boolean, p_now timestamptz)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = clinical, pg_temp AS $$
    BEGIN
      IF p_organisation::text IS DISTINCT FROM current_setting('teleconsult.organisation_id', true)
      THEN RAISE EXCEPTION 'a person is learned for the organisation of the transaction'; END IF;
      EXECUTE format('INSERT INTO clinical.%%I AS p (id, organisation_id, reference, display_name,
            email, phone, language, is_active, updated_at)
          VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)
          ON CONFLICT (organisation_id, reference) DO UPDATE SET
            display_name = excluded.display_name, email = excluded.email, phone = excluded.phone,
            language = excluded.language, is_active = excluded.is_active,
            updated_at = excluded.updated_at',
          CASE p_kind WHEN 'patient' THEN 'patients' ELSE 'providers' END)
        USING p_id, p_organisation, p_reference, p_display_name, p_email, p_phone, p_language,
          p_is_active, p_now;
      %s
    END $$"""
MARK = """EXECUTE format('UPDATE clinical.%I SET learned = true, trimmed_at = NULL
          WHERE organisation_id = $1 AND reference = $2',
          CASE p_kind WHEN 'patient' THEN 'patients' ELSE 'providers' END)
        USING p_organisation, p_reference;"""

# As migration 0140 has it, but not those whom the hospital wrote in; and whose contacts go is
# marked, because too little is known of them to book them.
FORGET_PEOPLE = f"""
    CREATE OR REPLACE FUNCTION clinical.forget_people(p_before timestamptz, p_limit integer)
    RETURNS bigint {OWNERS} AS $$
    DECLARE v_gone bigint := 0; v_some bigint; v_before timestamptz;
      v_mine uuid := nullif(current_setting('teleconsult.organisation_id', true), '*')::uuid;
      v_connected boolean; v_who record;
    BEGIN
      v_before := least(p_before, now() - interval '1 day');
      SELECT EXISTS (SELECT FROM directory_connections
                     WHERE organisation_id = v_mine AND is_active) INTO v_connected;
      FOR v_who IN SELECT * FROM (VALUES ('patients', 'patient_id'), ('providers', 'provider_id'))
                   AS t (name, reference) LOOP
        EXECUTE format('WITH old AS (
            SELECT p.id FROM clinical.%1$I p
            WHERE p.organisation_id = $1 AND p.updated_at < $2 AND ($3 AND p.learned OR NOT p.is_active)
              AND NOT EXISTS (SELECT FROM clinical.appointments a WHERE a.%2$I = p.id)
            LIMIT $4 FOR UPDATE SKIP LOCKED)
          DELETE FROM clinical.%1$I p USING old WHERE p.id = old.id', v_who.name, v_who.reference)
          USING v_mine, v_before, v_connected, p_limit;
        GET DIAGNOSTICS v_some = ROW_COUNT;
        v_gone := greatest(v_gone, v_some);
        EXECUTE format('WITH old AS (
            SELECT p.id FROM clinical.%1$I p
            WHERE p.organisation_id = $1 AND p.updated_at < $2 AND ($3 AND p.learned OR NOT p.is_active)
              AND (p.email IS NOT NULL OR p.phone IS NOT NULL)
              AND NOT EXISTS (
                SELECT FROM clinical.appointments a
                JOIN clinical.visits v ON v.appointment_id = a.id
                JOIN teleconference.sessions s ON s.id = v.session_id
                WHERE a.%2$I = p.id AND s.trimmed_at IS NULL)
            LIMIT $4 FOR UPDATE SKIP LOCKED)
          UPDATE clinical.%1$I p SET email = NULL, phone = NULL, trimmed_at = now()
            FROM old WHERE p.id = old.id', v_who.name, v_who.reference)
          USING v_mine, v_before, v_connected, p_limit;
        GET DIAGNOSTICS v_some = ROW_COUNT;
        v_gone := greatest(v_gone, v_some);
      END LOOP;
      RETURN v_gone;
    END $$"""

# As migration 0140 has it, and those that are nobody's where the transaction is limited to no
# organisation.
FORGET_STRAYS = f"""
    CREATE OR REPLACE FUNCTION teleconference.forget_stored_files(p_before timestamptz, p_limit integer)
    RETURNS bigint {OWNERS} AS $$
    DECLARE
      v_gone bigint;
      v_mine uuid := nullif(current_setting('teleconsult.organisation_id', true), '*')::uuid;
    BEGIN
      DELETE FROM stored_files k USING (
          SELECT s.id FROM stored_files s
          WHERE (s.organisation_id = v_mine OR v_mine IS NULL AND s.organisation_id IS NULL)
            AND s.erased_at < least(p_before, now() - interval '30 days')
            AND NOT EXISTS (SELECT FROM session_files f WHERE f.content_id = s.id)
            AND NOT EXISTS (SELECT FROM session_files f WHERE f.preview_id = s.id)
            AND NOT EXISTS (SELECT FROM file_parts p WHERE p.stored_id = s.id)
            AND NOT EXISTS (SELECT FROM recording_files f WHERE f.content_id = s.id)
            AND NOT EXISTS (SELECT FROM recording_files f WHERE f.playable_id = s.id)
            AND NOT EXISTS (SELECT FROM recording_files f WHERE f.poster_id = s.id)
            AND NOT EXISTS (SELECT FROM recording_parts p WHERE p.stored_id = s.id)
            AND NOT EXISTS (SELECT FROM playback_deliveries d WHERE d.stored_id = s.id)
          LIMIT p_limit FOR UPDATE SKIP LOCKED) old
        WHERE k.id = old.id;
      GET DIAGNOSTICS v_gone = ROW_COUNT;
      RETURN v_gone;
    END $$"""


def upgrade() -> None:
    for table in PEOPLE:
        learned = sa.Column("learned", sa.Boolean(), server_default=sa.false(), nullable=False)
        op.add_column(table, learned, schema="clinical")
        trimmed = sa.Column("trimmed_at", sa.DateTime(timezone=True))
        op.add_column(table, trimmed, schema="clinical")
    for function in (LEARN % MARK, FORGET_PEOPLE, FORGET_STRAYS):
        op.execute(function)
    op.add_column("playback_views", sa.Column("press_id", sa.Uuid()), schema="teleconference")
    op.create_unique_constraint(
        op.f(PRESS), "playback_views", ["link_id", "press_id"], schema="teleconference"
    )


def downgrade() -> None:
    op.drop_constraint(op.f(PRESS), "playback_views", schema="teleconference")
    op.drop_column("playback_views", "press_id", schema="teleconference")
    former = context.script.get_revision("0140").module
    for function in (LEARN % "", former.FORGET_PEOPLE, former.FORGET_STRAYS):
        op.execute(function.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION"))
    for table in PEOPLE:
        for name in ("learned", "trimmed_at"):
            op.drop_column(table, name, schema="clinical")
