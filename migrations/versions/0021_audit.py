"""The audit log in monthly partitions, each entry with a proof, and a chain of seals

The partitions lie in a schema of their own, where no role but the owner has any right: rows are
reached through the table only, with its row security. A statement trigger of the table does not
see statements that name a partition, so each has the trigger, too.

The runtime role may ask for what only the owner can do (make partitions, move rows into them, purge),
by functions that decide themselves what is due. How long entries are kept is therefore in the
database, where only the owner sets it (`teleconsult migrate`, from AUDIT_RETENTION_DAYS).
"""

import sqlalchemy as sa
from alembic import context, op

from app.audit.proof import AuditKeys, content_of_row

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

ENTRIES = """
    CREATE TABLE teleconference.audit_entries (
      id uuid NOT NULL, at timestamptz NOT NULL, organisation_id uuid,
      actor_kind text NOT NULL, actor_id text, action text NOT NULL, outcome text NOT NULL,
      session_id uuid, participant_id uuid, detail jsonb NOT NULL DEFAULT '{}',
      key_id text NOT NULL, proof bytea NOT NULL,
      xid bigint NOT NULL DEFAULT (pg_current_xact_id()::text::bigint),
      CONSTRAINT pk_audit_entries PRIMARY KEY (id, at)
    ) PARTITION BY RANGE (at)"""

INDEXES = {
    "page": "(organisation_id, at, id)",
    "action": "(organisation_id, action, at, id)",
    "actor": "(actor_id, at, id)",
    "session": "(session_id, at, id)",
    "participant": "(participant_id, at, id)",
    "refused": "(organisation_id, at, id) WHERE outcome = 'refused'",
    "sealing": "(xid, id)",
}

SEALS = """
    CREATE TABLE teleconference.audit_seals (
      organisation_id uuid NOT NULL, number bigint NOT NULL,
      entry_id uuid NOT NULL, entry_at timestamptz NOT NULL, proof bytea NOT NULL,
      is_genuine boolean, key_id text NOT NULL, hash bytea NOT NULL,
      CONSTRAINT pk_audit_seals PRIMARY KEY (organisation_id, number),
      CONSTRAINT uq_audit_seals_entry_id_entry_at UNIQUE (entry_id, entry_at))"""

CHECKPOINTS = """
    CREATE TABLE teleconference.audit_checkpoints (
      organisation_id uuid NOT NULL, purged_before timestamptz NOT NULL,
      number bigint NOT NULL, hash bytea NOT NULL, key_id text NOT NULL, proof bytea NOT NULL,
      CONSTRAINT pk_audit_checkpoints PRIMARY KEY (organisation_id, purged_before))"""

STATE = """
    CREATE TABLE teleconference.audit_state (
      one boolean CONSTRAINT pk_audit_state PRIMARY KEY CHECK (one),
      next_xid bigint NOT NULL, retention_days integer NOT NULL)"""

OWNERS = """LANGUAGE plpgsql SECURITY DEFINER SET search_path = teleconference, pg_temp
    SET timezone = 'UTC' SET lock_timeout = '500ms' AS $$"""

# ATTACH locks the table against no reader and no writer, unlike CREATE ... PARTITION OF.
MAKE_PARTITION = f"""
    CREATE FUNCTION teleconference.make_audit_partition(p_month timestamptz) RETURNS void {OWNERS}
    DECLARE
      v_until timestamptz := p_month + interval '1 month';
      v_name text := 'entries_' || to_char(p_month, 'YYYY_MM');
    BEGIN
      IF to_regclass('audit_partitions.' || v_name) IS NOT NULL THEN RETURN; END IF;
      EXECUTE format('CREATE TABLE audit_partitions.%I
        (LIKE teleconference.audit_entries INCLUDING DEFAULTS INCLUDING CONSTRAINTS)', v_name);
      -- What came before its month had a partition lies in the one for all the rest.
      IF EXISTS (SELECT FROM audit_partitions.entries_default
                 WHERE at >= p_month AND at < v_until) THEN
        ALTER TABLE audit_partitions.entries_default DISABLE TRIGGER audit_is_insert_only;
        EXECUTE format('WITH moved AS (DELETE FROM audit_partitions.entries_default
          WHERE at >= $1 AND at < $2 RETURNING *)
          INSERT INTO audit_partitions.%I SELECT * FROM moved', v_name) USING p_month, v_until;
        ALTER TABLE audit_partitions.entries_default ENABLE TRIGGER audit_is_insert_only;
      END IF;
      EXECUTE format('ALTER TABLE teleconference.audit_entries
        ATTACH PARTITION audit_partitions.%I FOR VALUES FROM (%L) TO (%L)', v_name, p_month, v_until);
      EXECUTE format('CREATE TRIGGER audit_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE
        ON audit_partitions.%I FOR EACH STATEMENT
        EXECUTE FUNCTION teleconference.refuse_change()', v_name);
    END $$"""

ENSURE_PARTITIONS = f"""
    CREATE FUNCTION teleconference.ensure_audit_partitions() RETURNS void {OWNERS}
    BEGIN
      PERFORM pg_advisory_xact_lock(7230905);
      FOR i IN 0..3 LOOP
        PERFORM make_audit_partition(date_trunc('month', now()) + make_interval(months => i));
      END LOOP;
    END $$"""

# Along the index, whatever the statistics say: a plan that reads the table is wrong here however
# often the table was said to be small (see migration 0010), and planned once per connection: over
# the partitions of seven years, planning takes longer than running.
UNSEALED = """
    CREATE FUNCTION teleconference.unsealed_entries(p_from bigint, p_limit integer)
    RETURNS SETOF teleconference.audit_entries LANGUAGE plpgsql STABLE SET search_path = teleconference, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET enable_sort = off SET jit = off
    SET plan_cache_mode = force_generic_plan AS $$
    BEGIN RETURN QUERY
      SELECT e.* FROM audit_entries e
      WHERE e.xid >= p_from AND NOT EXISTS (
        SELECT FROM audit_seals s WHERE s.entry_id = e.id AND s.entry_at = e.at)
      ORDER BY e.xid, e.id LIMIT p_limit;
    END $$"""

# Months that are over for longer than entries are kept, from the oldest on.
OLD_PARTITIONS = """
    SELECT c.relname FROM pg_inherits i JOIN pg_class c ON c.oid = i.inhrelid
    WHERE i.inhparent = 'teleconference.audit_entries'::regclass
      AND CASE WHEN c.relname <> 'entries_default'
        THEN to_date(right(c.relname, 7), 'YYYY_MM') + interval '1 month' <= {before} END
    ORDER BY c.relname"""

# The moment before which entries are to go, or null when there are none.
DUE = f"""
    CREATE FUNCTION teleconference.audit_purge_due() RETURNS timestamptz {OWNERS}
    DECLARE v_before timestamptz;
    BEGIN
      SELECT date_trunc('month', now() - make_interval(days => retention_days)) INTO v_before
        FROM audit_state;
      IF EXISTS ({OLD_PARTITIONS.format(before="v_before")})
        OR EXISTS (SELECT FROM audit_partitions.entries_default WHERE at < v_before)
      THEN RETURN v_before; END IF;
      RETURN NULL;
    END $$"""

# Only what is sealed, and seals only as far as a checkpoint takes their place.
PURGE = f"""
    CREATE FUNCTION teleconference.purge_audit(p_before timestamptz) RETURNS void {OWNERS}
    DECLARE v_name text;
    BEGIN
      IF p_before IS NULL OR p_before IS DISTINCT FROM audit_purge_due() THEN
        RAISE EXCEPTION 'entries are kept longer than that'; END IF;
      IF EXISTS (
          SELECT FROM (SELECT DISTINCT organisation_id FROM audit_entries WHERE at < p_before) c
          WHERE NOT EXISTS (
            SELECT FROM audit_checkpoints p WHERE p.purged_before = p_before AND p.organisation_id
              = coalesce(c.organisation_id, '00000000-0000-0000-0000-000000000000')))
      THEN RAISE EXCEPTION 'a purge needs a checkpoint of every chain'; END IF;
      IF EXISTS (SELECT FROM audit_entries e WHERE e.at < p_before AND NOT EXISTS (
          SELECT FROM audit_seals s WHERE s.entry_id = e.id AND s.entry_at = e.at))
      THEN RAISE EXCEPTION 'there are entries that have no seal yet'; END IF;
      FOR v_name IN {OLD_PARTITIONS.format(before="p_before")} LOOP
        EXECUTE format('DROP TABLE audit_partitions.%I', v_name);
      END LOOP;
      IF EXISTS (SELECT FROM audit_partitions.entries_default WHERE at < p_before) THEN
        ALTER TABLE audit_partitions.entries_default DISABLE TRIGGER audit_is_insert_only;
        DELETE FROM audit_partitions.entries_default WHERE at < p_before;
        ALTER TABLE audit_partitions.entries_default ENABLE TRIGGER audit_is_insert_only;
      END IF;
      ALTER TABLE audit_seals DISABLE TRIGGER audit_is_insert_only;
      DELETE FROM audit_seals s USING audit_checkpoints p
        WHERE p.purged_before = p_before AND s.organisation_id = p.organisation_id
          AND s.number <= p.number AND s.entry_at < p_before;
      ALTER TABLE audit_seals ENABLE TRIGGER audit_is_insert_only;
    END $$"""

FUNCTIONS = (
    "ensure_audit_partitions()",
    "unsealed_entries(bigint, integer)",
    "audit_purge_due()",
    "purge_audit(timestamptz)",
)
CURRENT = "current_setting('teleconsult.organisation_id', true)"
INSERT = sa.text("""
    INSERT INTO teleconference.audit_entries (id, at, organisation_id, actor_kind, actor_id, action,
      outcome, session_id, participant_id, detail, key_id, proof)
    SELECT id, at, organisation_id, actor_kind, actor_id, action, outcome, session_id,
      participant_id, detail, :key_id, :proof FROM teleconference.audit_entries_before
    WHERE id = :id""")


def upgrade() -> None:
    op.execute("SET timezone = 'UTC'")
    op.execute("DROP TRIGGER audit_is_insert_only ON teleconference.audit_entries")
    op.execute("ALTER TABLE teleconference.audit_entries RENAME TO audit_entries_before")
    op.execute("ALTER INDEX teleconference.pk_audit_entries RENAME TO pk_audit_entries_before")
    op.execute("DROP INDEX teleconference.ix_audit_entries_page")
    op.execute("CREATE SCHEMA IF NOT EXISTS audit_partitions")
    for table in (ENTRIES, SEALS, CHECKPOINTS, STATE):
        op.execute(table)
    for name, columns in INDEXES.items():
        op.execute(
            f"CREATE INDEX ix_audit_entries_{name} ON teleconference.audit_entries {columns}"
        )
    op.execute("INSERT INTO teleconference.audit_state VALUES (true, 0, 2557)")
    op.execute("""
        CREATE TABLE audit_partitions.entries_default
        PARTITION OF teleconference.audit_entries DEFAULT""")
    grant()
    protect()
    for function in (MAKE_PARTITION, ENSURE_PARTITIONS, UNSEALED, DUE, PURGE):
        op.execute(function)
    op.execute(
        "REVOKE ALL ON FUNCTION teleconference.make_audit_partition(timestamptz) FROM PUBLIC"
    )
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{function} TO role_telehealth")
    make_partitions()
    move_rows()
    op.execute("DROP TABLE teleconference.audit_entries_before")


def grant() -> None:
    for table in ("audit_entries", "audit_seals", "audit_checkpoints"):
        name = f"teleconference.{table}"
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
            f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
        )
        op.execute(f"CREATE POLICY read_all ON {name} TO role_audit USING (true)")
        op.execute(f"GRANT SELECT, INSERT ON {name} TO role_telehealth")
        op.execute(f"GRANT SELECT ON {name} TO role_audit")
    op.execute("GRANT SELECT, UPDATE (next_xid) ON teleconference.audit_state TO role_telehealth")


def protect() -> None:
    for table in (
        "teleconference.audit_entries",
        "audit_partitions.entries_default",
        "teleconference.audit_seals",
        "teleconference.audit_checkpoints",
    ):
        op.execute(f"""
            CREATE TRIGGER audit_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
            FOR EACH STATEMENT EXECUTE FUNCTION teleconference.refuse_change()""")


def make_partitions() -> None:
    op.execute("""
        SELECT teleconference.make_audit_partition(month) FROM (
          SELECT DISTINCT date_trunc('month', at) AS month
          FROM teleconference.audit_entries_before) months""")
    op.execute("SELECT teleconference.ensure_audit_partitions()")


def move_rows() -> None:
    """Prove the entries that were made before there were proofs: as they are today."""
    db = op.get_bind()
    everything = sa.text("SELECT * FROM teleconference.audit_entries_before")
    rows = db.execute(everything, execution_options={"yield_per": 1000})
    keys = None
    for rows_together in rows.partitions():
        keys = keys or proving_keys()
        proofs = [(row.id, keys.prove(content_of_row(row))) for row in rows_together]
        db.execute(INSERT, [{"id": i, "key_id": k, "proof": p} for i, (k, p) in proofs])


def proving_keys() -> AuditKeys:
    given = context.config.attributes.get("audit_keys")
    if not given:
        raise RuntimeError("set AUDIT_KEYS: there are audit entries to be proved")
    return AuditKeys(given)


def downgrade() -> None:
    op.execute("""
        CREATE TABLE teleconference.audit_entries_before AS
        SELECT id, organisation_id, at, actor_kind, actor_id, action, outcome, session_id,
          participant_id, detail FROM teleconference.audit_entries""")
    for function in (*FUNCTIONS, "make_audit_partition(timestamptz)"):
        op.execute(f"DROP FUNCTION teleconference.{function}")
    for table in ("entries", "seals", "checkpoints", "state"):
        op.execute(f"DROP TABLE teleconference.audit_{table}")
    op.execute("DROP SCHEMA audit_partitions")
    restore()


def restore() -> None:
    name = "teleconference.audit_entries"
    op.execute(f"ALTER TABLE {name}_before RENAME TO audit_entries")
    op.execute(f"""
        ALTER TABLE {name} ALTER id SET NOT NULL, ALTER at SET NOT NULL,
          ALTER actor_kind SET NOT NULL, ALTER action SET NOT NULL, ALTER outcome SET NOT NULL,
          ALTER detail SET NOT NULL, ALTER detail SET DEFAULT '{{}}',
          ADD CONSTRAINT pk_audit_entries PRIMARY KEY (id),
          ADD CONSTRAINT fk_audit_entries_organisation_id FOREIGN KEY (organisation_id)
            REFERENCES teleconference.organisations (id)""")
    op.execute(f"CREATE INDEX ix_audit_entries_page ON {name} (organisation_id, at, id)")
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute(f"CREATE POLICY read_all ON {name} TO role_audit USING (true)")
    op.execute(f"GRANT SELECT, INSERT ON {name} TO role_telehealth")
    op.execute(f"GRANT SELECT ON {name} TO role_audit")
    op.execute(f"""
        CREATE TRIGGER audit_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {name}
        FOR EACH STATEMENT EXECUTE FUNCTION teleconference.refuse_change()""")
