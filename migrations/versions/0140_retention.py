"""How long things are kept: legal holds, the end of what is past its time, and playback by link

The runtime role may still delete no row. What goes, goes by functions of the owner, which judge by
themselves: they take a session that has been over for long enough, that nobody holds, and of whose
files nothing is left, whatever they are asked. How long an organisation keeps what, the service
decides above that.
"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import INT8MULTIRANGE

revision = "0140"
down_revision = "0130"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
CURRENT = "current_setting('teleconsult.organisation_id', true)"
PEOPLE = ("patients", "providers")
TABLES = ("legal_holds", "playback_links", "playback_views", "playback_deliveries")
MOMENT, TEXT = sa.DateTime(timezone=True), sa.Text()

DELETION = {"deleted_at": MOMENT, "deleted_by_kind": TEXT, "deleted_by": TEXT}
RECORDING = "'requested', 'starting', 'active', 'stopping', 'processing', 'available', 'failed'"
FILE = "'arriving', 'processing', 'available', 'withheld', 'orphaned', 'failed'"
OWNERLESS = "recording_id IS NOT NULL OR state IN ('arriving', 'processing', 'orphaned'"
# The rule before, and the rule now.
RULES = {
    "recordings": {
        "state": (f"state IN ({RECORDING})", f"state IN ({RECORDING}, 'expired', 'deleted')")
    },
    "recording_files": {
        "state": (f"state IN ({FILE})", f"state IN ({FILE}, 'deleted')"),
        "orphan_is_shown_to_nobody": (f"{OWNERLESS})", f"{OWNERLESS}, 'deleted')"),
    },
}

# What is asked when something is deleted: by foreign keys, and by a session.
INDEXES = (
    ("sessions", "ended", ["organisation_id", "ended_at"], "ended_at IS NOT NULL"),
    (
        "sessions",
        "untrimmed",
        ["organisation_id", "ended_at"],
        "ended_at IS NOT NULL AND trimmed_at IS NULL",
    ),
    ("attendance", "participant_id", ["participant_id"], None),
    ("links", "participant_id", ["participant_id"], None),
    ("notifications", "event_id", ["event_id"], None),
    ("webhook_deliveries", "event_id", ["event_id"], None),
    ("room_commands", "session_id", ["session_id"], None),
    (
        "recordings",
        "kept",
        ["organisation_id", "created_at", "id"],
        "state IN ('processing', 'available', 'failed')",
    ),
    ("recording_files", "content_id", ["content_id"], "content_id IS NOT NULL"),
    ("recording_files", "playable_id", ["playable_id"], "playable_id IS NOT NULL"),
    ("recording_files", "poster_id", ["poster_id"], "poster_id IS NOT NULL"),
    ("recording_parts", "stored_id", ["stored_id"], None),
    ("session_files", "kept", ["organisation_id", "created_at", "id"], "state <> 'deleted'"),
    ("session_files", "author_id", ["author_id"], "author_id IS NOT NULL"),
    ("session_files", "supersedes_id", ["supersedes_id"], "supersedes_id IS NOT NULL"),
    ("session_files", "content_id", ["content_id"], "content_id IS NOT NULL"),
    ("session_files", "preview_id", ["preview_id"], "preview_id IS NOT NULL"),
    ("file_parts", "stored_id", ["stored_id"], None),
    ("file_views", "participant_id", ["participant_id"], None),
    ("stored_files", "erased", ["organisation_id", "erased_at"], "erased_at IS NOT NULL"),
)

OWNERS = """LANGUAGE plpgsql SECURITY DEFINER SET search_path = teleconference, clinical, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off"""

# A held session is asked for after it was locked, in a statement of its own: whoever places a hold
# locks the session, too.
TAKE = """
      SELECT coalesce(array_agg(id), '{}') INTO v_ids FROM (
          SELECT s.id FROM sessions s
          WHERE s.id = ANY(p_ids) AND s.ended_at < least(p_now, now()) - interval '%s'
            AND s.organisation_id::text = current_setting('teleconsult.organisation_id', true)
          ORDER BY s.id FOR UPDATE SKIP LOCKED) taken;
      SELECT coalesce(array_agg(it.id), '{}') INTO v_ids FROM unnest(v_ids) AS it (id)
        WHERE NOT EXISTS (
            SELECT FROM legal_holds h WHERE h.session_id = it.id AND h.released_at IS NULL)
          AND NOT EXISTS (
            SELECT FROM events e WHERE e.session_id = it.id AND e.relayed_at IS NULL)"""
NEWS = """
      DELETE FROM notifications t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM webhook_deliveries d USING unnest(v_ids) AS of (id), events e
        WHERE e.session_id = of.id AND d.event_id = e.id;
      DELETE FROM events t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM room_commands t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM av_moderation t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;"""

# What was needed to hold the session, and is not needed to know that it was held.
TRIM = f"""
    CREATE FUNCTION teleconference.trim_sessions(p_ids uuid[], p_now timestamptz)
    RETURNS SETOF uuid {OWNERS} AS $$
    DECLARE v_ids uuid[];
    BEGIN {TAKE % "1 day"};
      UPDATE participants SET email = NULL, phone = NULL, channels = NULL, quiet_from = NULL,
          quiet_to = NULL, timezone = NULL, unsubscribed = '[]'
        WHERE session_id = ANY(v_ids);
      UPDATE waiting SET message = NULL WHERE session_id = ANY(v_ids) AND message IS NOT NULL;
      {NEWS}
      UPDATE sessions s SET trimmed_at = p_now FROM unnest(v_ids) AS of (id) WHERE s.id = of.id;
      RETURN QUERY SELECT unnest(v_ids);
    END $$"""

# Everything else of a session. Its files are gone before: no key, and nothing in the store.
FORGET = f"""
    CREATE FUNCTION teleconference.forget_sessions(p_ids uuid[], p_now timestamptz)
    RETURNS SETOF uuid {OWNERS} AS $$
    DECLARE v_ids uuid[]; v_people uuid[]; v_files uuid[]; v_stored uuid[]; v_planned uuid[];
      v_recorded uuid[];
    BEGIN {TAKE % "30 days"}
          AND NOT EXISTS (
            SELECT FROM stored_files_of_sessions(ARRAY[it.id]) AS of_it (stored_id)
            JOIN stored_files k ON k.id = of_it.stored_id WHERE k.erased_at IS NULL);
      v_stored := ARRAY(SELECT stored_files_of_sessions(v_ids));
      v_people := ARRAY(SELECT id FROM participants WHERE session_id = ANY(v_ids));
      v_files := ARRAY(SELECT id FROM session_files WHERE session_id = ANY(v_ids));
      v_planned := ARRAY(SELECT appointment_id FROM visits WHERE session_id = ANY(v_ids));
      {NEWS}
      DELETE FROM playback_deliveries d USING unnest(v_ids) AS of (id), playback_views v
        WHERE v.session_id = of.id AND d.view_id = v.id;
      DELETE FROM playback_views t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM playback_links t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      v_recorded := ARRAY(SELECT id FROM recordings WHERE session_id = ANY(v_ids));
      DELETE FROM recording_parts p USING unnest(v_recorded) AS of (id), recording_files f
        WHERE f.recording_id = of.id AND p.file_id = f.id;
      DELETE FROM recording_files t USING unnest(v_recorded) AS of (id) WHERE t.recording_id = of.id;
      DELETE FROM recordings t USING unnest(v_recorded) AS of (id) WHERE t.id = of.id;
      DELETE FROM file_views t USING unnest(v_files) AS of (id) WHERE t.file_id = of.id;
      DELETE FROM file_parts t USING unnest(v_files) AS of (id) WHERE t.file_id = of.id;
      DELETE FROM session_files t USING unnest(v_files) AS of (id) WHERE t.id = of.id;
      DELETE FROM stored_files t USING unnest(v_stored) AS of (id) WHERE t.id = of.id;
      PERFORM set_config('teleconsult.forgets', 'yes', true);
      DELETE FROM consents t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      PERFORM set_config('teleconsult.forgets', '', true);
      DELETE FROM emergency_entries t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM attendance t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM waiting t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM links t USING unnest(v_people) AS of (id) WHERE t.participant_id = of.id;
      DELETE FROM participants t USING unnest(v_people) AS of (id) WHERE t.id = of.id;
      DELETE FROM visit_reports t USING unnest(v_planned) AS of (id) WHERE t.appointment_id = of.id;
      DELETE FROM visits t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM appointments t USING unnest(v_planned) AS of (id) WHERE t.id = of.id;
      DELETE FROM legal_holds t USING unnest(v_ids) AS of (id) WHERE t.session_id = of.id;
      DELETE FROM sessions t USING unnest(v_ids) AS of (id) WHERE t.id = of.id;
      RETURN QUERY SELECT unnest(v_ids);
    END $$"""

STORED = f"""
    CREATE FUNCTION teleconference.stored_files_of_sessions(p_ids uuid[])
    RETURNS SETOF uuid {OWNERS} STABLE ROWS 10 AS $$
    BEGIN
      RETURN QUERY
        SELECT unnest(ARRAY[f.content_id, f.preview_id]) FROM session_files f
          WHERE f.session_id = ANY(p_ids)
        UNION SELECT p.stored_id FROM file_parts p JOIN session_files f ON f.id = p.file_id
          WHERE f.session_id = ANY(p_ids)
        UNION SELECT unnest(ARRAY[f.content_id, f.playable_id, f.poster_id])
          FROM recording_files f JOIN recordings r ON r.id = f.recording_id
          WHERE r.session_id = ANY(p_ids)
        UNION SELECT p.stored_id FROM recording_parts p
          JOIN recording_files f ON f.id = p.file_id JOIN recordings r ON r.id = f.recording_id
          WHERE r.session_id = ANY(p_ids);
    END $$"""

# Copies of people whom the hospital's own service knows, or who are not active any more. Whoever
# has an appointment stays with a name; how they are reached goes with that of their sessions.
FORGET_PEOPLE = f"""
    CREATE FUNCTION clinical.forget_people(p_before timestamptz, p_limit integer)
    RETURNS bigint {OWNERS} AS $$
    DECLARE v_gone bigint := 0; v_some bigint; v_before timestamptz;
      v_mine uuid := nullif(current_setting('teleconsult.organisation_id', true), '*')::uuid;
      v_learned boolean; v_who record;
    BEGIN
      v_before := least(p_before, now() - interval '1 day');
      SELECT EXISTS (SELECT FROM directory_connections
                     WHERE organisation_id = v_mine AND is_active) INTO v_learned;
      FOR v_who IN SELECT * FROM (VALUES ('patients', 'patient_id'), ('providers', 'provider_id'))
                   AS t (name, reference) LOOP
        EXECUTE format('WITH old AS (
            SELECT p.id FROM clinical.%1$I p
            WHERE p.organisation_id = $1 AND p.updated_at < $2 AND ($3 OR NOT p.is_active)
              AND NOT EXISTS (SELECT FROM clinical.appointments a WHERE a.%2$I = p.id)
            LIMIT $4 FOR UPDATE SKIP LOCKED)
          DELETE FROM clinical.%1$I p USING old WHERE p.id = old.id', v_who.name, v_who.reference)
          USING v_mine, v_before, v_learned, p_limit;
        GET DIAGNOSTICS v_some = ROW_COUNT;
        v_gone := greatest(v_gone, v_some);
        EXECUTE format('WITH old AS (
            SELECT p.id FROM clinical.%1$I p
            WHERE p.organisation_id = $1 AND p.updated_at < $2 AND ($3 OR NOT p.is_active)
              AND (p.email IS NOT NULL OR p.phone IS NOT NULL)
              AND NOT EXISTS (
                SELECT FROM clinical.appointments a
                JOIN clinical.visits v ON v.appointment_id = a.id
                JOIN teleconference.sessions s ON s.id = v.session_id
                WHERE a.%2$I = p.id AND s.trimmed_at IS NULL)
            LIMIT $4 FOR UPDATE SKIP LOCKED)
          UPDATE clinical.%1$I p SET email = NULL, phone = NULL
            FROM old WHERE p.id = old.id', v_who.name, v_who.reference)
          USING v_mine, v_before, v_learned, p_limit;
        GET DIAGNOSTICS v_some = ROW_COUNT;
        v_gone := greatest(v_gone, v_some);
      END LOOP;
      RETURN v_gone;
    END $$"""

# What is left of a file that never became part of anything: two ids and times.
FORGET_STRAYS = f"""
    CREATE FUNCTION teleconference.forget_stored_files(p_before timestamptz, p_limit integer)
    RETURNS bigint {OWNERS} AS $$
    DECLARE
      v_gone bigint;
      v_mine uuid := nullif(current_setting('teleconsult.organisation_id', true), '*')::uuid;
    BEGIN
      DELETE FROM stored_files k USING (
          SELECT s.id FROM stored_files s
          WHERE s.organisation_id = v_mine AND s.erased_at < least(p_before, now() - interval '30 days')
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

FUNCTIONS = {
    "teleconference.forget_stored_files(timestamptz, integer)": FORGET_STRAYS,
    "teleconference.trim_sessions(uuid[], timestamptz)": TRIM,
    "teleconference.forget_sessions(uuid[], timestamptz)": FORGET,
    "clinical.forget_people(timestamptz, integer)": FORGET_PEOPLE,
}

# Consents are a ledger: nobody changes a line, and lines go with their session alone.
REFUSE_CONSENT = """
    CREATE FUNCTION teleconference.refuse_consent_change() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
      IF TG_OP = 'DELETE' AND current_setting('teleconsult.forgets', true) = 'yes'
      THEN RETURN NULL; END IF;
      RAISE EXCEPTION 'consents are never changed or deleted';
    END $$"""


def reference(name: str, table: str, **options: bool) -> sa.Column[object]:
    """Return a column that names a row of another table."""
    return sa.Column(name, sa.Uuid(), sa.ForeignKey(f"{SCHEMA}.{table}.id"), **options)


def upgrade() -> None:
    op.add_column("sessions", sa.Column("trimmed_at", MOMENT), schema=SCHEMA)
    change_recordings()
    for table, name, columns, where in INDEXES:
        make_index(table, name, columns, where)
    for table in PEOPLE:
        columns = ["organisation_id", "updated_at"]
        op.create_index(f"ix_{table}_updated", table, columns, schema="clinical")
    create_holds()
    create_playback()
    for table in TABLES:
        name = f"{SCHEMA}.{table}"
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
            f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {name} TO role_telehealth")
    op.execute(REFUSE_CONSENT)
    guard_consents("refuse_consent_change")
    op.execute(STORED)
    op.execute("REVOKE ALL ON FUNCTION teleconference.stored_files_of_sessions(uuid[]) FROM PUBLIC")
    for signature, function in FUNCTIONS.items():
        op.execute(function)
        op.execute(f"REVOKE ALL ON FUNCTION {signature} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION {signature} TO role_telehealth")


def change_recordings() -> None:
    for name, kind in DELETION.items():
        op.add_column("recordings", sa.Column(name, kind), schema=SCHEMA)
    for table, rules in RULES.items():
        for name, (_, rule) in rules.items():
            allow(table, name, rule)


def allow(table: str, name: str, rule: str) -> None:
    """Say anew what a table takes."""
    op.drop_constraint(f"ck_{table}_{name}", table, schema=SCHEMA)
    op.create_check_constraint(op.f(f"ck_{table}_{name}"), table, rule, schema=SCHEMA)


def make_index(table: str, name: str, columns: list[str], where: str | None) -> None:
    op.create_index(
        f"ix_{table}_{name}",
        table,
        columns,
        schema=SCHEMA,
        postgresql_where=where and sa.text(where),
    )


def guard_consents(function: str) -> None:
    op.execute("DROP TRIGGER consent_is_insert_only ON teleconference.consents")
    op.execute(f"""
        CREATE TRIGGER consent_is_insert_only
        BEFORE UPDATE OR DELETE OR TRUNCATE ON teleconference.consents
        FOR EACH STATEMENT EXECUTE FUNCTION teleconference.{function}()""")


def create_holds() -> None:
    op.create_table(
        "legal_holds",
        sa.Column("id", sa.Uuid(), primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        reference("session_id", "sessions", nullable=False),
        sa.Column("reason", TEXT, nullable=False),
        sa.Column("reference", TEXT),
        sa.Column("allows_playback", sa.Boolean(), server_default=sa.false(), nullable=False),
        sa.Column("placed_by_kind", TEXT, nullable=False),
        sa.Column("placed_by", TEXT),
        sa.Column("released_at", MOMENT),
        sa.Column("released_by_kind", TEXT),
        sa.Column("released_by", TEXT),
        sa.Column("release_reason", TEXT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint(
            "reason IN ('litigation', 'complaint', 'authority', 'incident', 'patient_request')",
            name="reason",
        ),
        sa.CheckConstraint(
            "(released_at IS NULL) = (released_by_kind IS NULL)"
            " AND (released_at IS NULL) = (release_reason IS NULL)",
            name="released",
        ),
        sa.CheckConstraint(
            "release_reason IN ('closed', 'limitation', 'mistake')", name="release_reason"
        ),
        schema=SCHEMA,
    )
    make_index("legal_holds", "session", ["session_id", "created_at", "id"], None)
    page = ["organisation_id", "created_at", "id"]
    make_index("legal_holds", "page", page, None)
    make_index("legal_holds", "live", ["session_id"], "released_at IS NULL")


def create_playback() -> None:
    op.create_table(
        "playback_links",
        sa.Column("id", sa.Uuid(), primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        reference("session_id", "sessions", nullable=False),
        reference("recording_id", "recordings", nullable=False),
        reference("participant_id", "participants"),
        sa.Column("viewer_reference", TEXT),
        sa.Column("viewer_name", TEXT, nullable=False),
        sa.Column("locale", TEXT, nullable=False),
        sa.Column("code_hash", sa.LargeBinary(), nullable=False, unique=True),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("max_views", sa.Integer(), nullable=False),
        sa.Column("views", sa.Integer(), server_default="0", nullable=False),
        sa.Column("created_by_kind", TEXT, nullable=False),
        sa.Column("created_by", TEXT),
        sa.Column("revoked_at", MOMENT),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.CheckConstraint("views BETWEEN 0 AND max_views", name="views"),
        sa.CheckConstraint(
            "(participant_id IS NULL) <> (viewer_reference IS NULL)", name="one_viewer"
        ),
        schema=SCHEMA,
    )
    make_index("playback_links", "page", ["recording_id", "created_at", "id"], None)
    make_index("playback_links", "session_id", ["session_id"], None)
    make_index("playback_links", "participant_id", ["participant_id"], "participant_id IS NOT NULL")
    op.create_table(
        "playback_views",
        sa.Column("id", sa.Uuid(), primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        reference("session_id", "sessions", nullable=False),
        reference("link_id", "playback_links", nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        schema=SCHEMA,
    )
    make_index("playback_views", "link", ["link_id", "created_at", "id"], None)
    make_index("playback_views", "session_id", ["session_id"], None)
    op.create_table(
        "playback_deliveries",
        reference("view_id", "playback_views", primary_key=True),
        reference("stored_id", "stored_files", primary_key=True),
        reference("organisation_id", "organisations", nullable=False),
        sa.Column("size_bytes", sa.BigInteger(), nullable=False),
        sa.Column("delivered", INT8MULTIRANGE(), nullable=False),
        sa.Column("last_at", MOMENT, nullable=False),
        sa.Column("unnoted_since", MOMENT),
        schema=SCHEMA,
    )
    make_index("playback_deliveries", "unnoted", ["unnoted_since"], "unnoted_since IS NOT NULL")
    make_index("playback_deliveries", "stored_id", ["stored_id"], None)


def downgrade() -> None:
    for signature in FUNCTIONS:
        op.execute(f"DROP FUNCTION {signature}")
    op.execute("DROP FUNCTION teleconference.stored_files_of_sessions(uuid[])")
    guard_consents("refuse_change")
    op.execute("DROP FUNCTION teleconference.refuse_consent_change()")
    for table in reversed(TABLES):
        op.drop_table(table, schema=SCHEMA)
    for table in PEOPLE:
        op.drop_index(f"ix_{table}_updated", table, schema="clinical")
    for table, rules in RULES.items():
        for name, (rule, _) in rules.items():
            allow(table, name, rule)
    for table, name, *_ in reversed(INDEXES):
        op.drop_index(f"ix_{table}_{name}", table, schema=SCHEMA)
    for name in DELETION:
        op.drop_column("recordings", name, schema=SCHEMA)
    op.drop_column("sessions", "trimmed_at", schema=SCHEMA)
