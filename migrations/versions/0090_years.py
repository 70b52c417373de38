"""What years of rows ask for

An index for every look at a table that grows, and a purge that deletes a batch at a time: one
statement over a day's keys would hold its locks, and its snapshot, for as long as it takes.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0090"
down_revision = "0080"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
PAGE = ["organisation_id", "created_at", "id"]
EMERGENCY = "kind = 'emergency'"
INDEXES = (
    ("sessions", "emergency_page", PAGE, EMERGENCY),
    (
        "sessions",
        "emergency_state_page",
        ["organisation_id", "state", "created_at", "id"],
        EMERGENCY,
    ),
    (
        "webhook_deliveries",
        "failed_page",
        ["subscription_id", "created_at", "id"],
        "state = 'failed'",
    ),
    ("idempotency_keys", "created_at", ["created_at"], None),
    ("room_events", "received_at", ["received_at"], None),
)

# Returns the larger number of rows that one table lost: less than p_limit means that all are gone.
PURGE = """
    CREATE FUNCTION teleconference.purge_expired(p_now timestamptz, p_limit integer DEFAULT 1000)
    RETURNS bigint LANGUAGE plpgsql SECURITY DEFINER SET search_path = teleconference, pg_temp
    SET enable_seqscan = off SET enable_hashjoin = off SET enable_mergejoin = off AS $$
    DECLARE v_keys bigint; v_events bigint;
    BEGIN
      DELETE FROM idempotency_keys k USING (
          SELECT organisation_id, key FROM idempotency_keys
          WHERE created_at < least(p_now, now()) - interval '24 hours'
          ORDER BY created_at LIMIT p_limit FOR UPDATE SKIP LOCKED) old
        WHERE k.organisation_id = old.organisation_id AND k.key = old.key;
      GET DIAGNOSTICS v_keys = ROW_COUNT;
      DELETE FROM room_events e USING (
          SELECT id FROM room_events WHERE received_at < least(p_now, now()) - interval '7 days'
          ORDER BY received_at LIMIT p_limit FOR UPDATE SKIP LOCKED) old
        WHERE e.id = old.id;
      GET DIAGNOSTICS v_events = ROW_COUNT;
      RETURN greatest(v_keys, v_events);
    END $$"""


def upgrade() -> None:
    for table, name, columns, where in INDEXES:
        op.create_index(
            f"ix_{table}_{name}",
            table,
            columns,
            schema=SCHEMA,
            postgresql_where=where and sa.text(where),
        )
    op.execute("DROP FUNCTION teleconference.purge_expired(timestamptz)")
    op.execute(PURGE)
    allow("purge_expired(timestamptz, integer)")


def allow(function: str) -> None:
    op.execute(f"REVOKE ALL ON FUNCTION teleconference.{function} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{function} TO role_telehealth")


def downgrade() -> None:
    op.execute("DROP FUNCTION teleconference.purge_expired(timestamptz, integer)")
    op.execute(context.script.get_revision("0003").module.PURGE)
    allow("purge_expired(timestamptz)")
    for table, name, *_ in INDEXES:
        op.drop_index(f"ix_{table}_{name}", table, schema=SCHEMA)
