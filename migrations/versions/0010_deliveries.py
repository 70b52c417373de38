"""Functions that claim events and webhook deliveries, with their plan nailed down

Both tables are queues: they grow a hundredfold during an outage and shrink again, faster than
statistics follow. The planner's own choice was measured at 9 s for a batch of events out of 100,000
and at up to 4.7 s per claim of deliveries; along the index it is a few milliseconds, whatever the
statistics say. Without sorts, only the index that has the order asked for is left.

Failures are counted apart from attempts: a worker that is killed again and again makes attempts,
and says nothing about the receiver.
"""

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0003"
branch_labels = None
depends_on = None

PLAN = """SET search_path = teleconference, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET enable_sort = off SET jit = off"""

# As many events of each session as there are among the oldest, but those that come first in it: ids
# are made before the session is locked, so their order is not exactly the order of the sequence.
CLAIM_EVENTS = f"""
    CREATE FUNCTION teleconference.claim_events(p_limit integer, p_now timestamptz)
    RETURNS TABLE (id uuid, organisation_id uuid, session_id uuid, sequence integer, type text,
        data jsonb)
    LANGUAGE plpgsql {PLAN} AS $$
    #variable_conflict use_column
    BEGIN RETURN QUERY
      WITH oldest AS MATERIALIZED (
        SELECT e.session_id FROM events e WHERE e.relayed_at IS NULL ORDER BY e.id LIMIT p_limit),
      found AS MATERIALIZED (SELECT session_id, count(*) AS number FROM oldest GROUP BY session_id)
      UPDATE events e SET relayed_at = p_now
      WHERE e.id = ANY (ARRAY(
        SELECT first.id FROM found CROSS JOIN LATERAL (
          SELECT n.id FROM events n WHERE n.session_id = found.session_id AND n.relayed_at IS NULL
          ORDER BY n.sequence LIMIT found.number) first))
      RETURNING e.id, e.organisation_id, e.session_id, e.sequence, e.type, e.data;
    END $$"""

# Each session's earliest pending delivery: whatever is before it is delivered or given up.
HEAD = """
    SELECT h.id, h.next_attempt_at, h.last_error FROM webhook_deliveries h
    WHERE h.subscription_id = {subscription} AND h.session_id = {session} AND h.state = 'pending'
    ORDER BY h.sequence LIMIT 1"""

# From what is due to the heads among it: what waits for its time is not looked at, however much.
DUE_HEADS = f"""
    SELECT d.id FROM webhook_deliveries d
    WHERE d.subscription_id = {{subscription}} AND d.state = 'pending' AND d.next_attempt_at <= p_now
      AND d.id = (SELECT head.id FROM (
        {HEAD.format(subscription="d.subscription_id", session="d.session_id")}) head)
    ORDER BY d.next_attempt_at"""

# Another worker may be at the same rows: it has locked them, or they are no longer due. The error is
# taken back for the time of the attempt, so that nothing is held behind it meanwhile.
CLAIM = f"""
    CREATE FUNCTION teleconference.claim_deliveries(
        p_subscription uuid, p_limit integer, p_lease_until timestamptz, p_now timestamptz)
    RETURNS TABLE (delivery_id uuid, attempt integer, failures integer, id uuid, type text,
        created_at timestamptz, sequence integer, organisation_id uuid, data jsonb)
    LANGUAGE plpgsql {PLAN} AS $$
    #variable_conflict use_column
    BEGIN RETURN QUERY
      WITH due AS ({DUE_HEADS.format(subscription="p_subscription")} LIMIT p_limit),
      free AS (
        SELECT d.id FROM due JOIN webhook_deliveries d ON d.id = due.id
        WHERE d.state = 'pending' AND d.next_attempt_at <= p_now FOR UPDATE OF d SKIP LOCKED),
      claimed AS (
        UPDATE webhook_deliveries d
        SET next_attempt_at = p_lease_until, attempts = d.attempts + 1, last_error = NULL
        FROM free WHERE d.id = free.id RETURNING d.id, d.attempts, d.failures, d.event_id)
      SELECT c.id, c.attempts, c.failures, e.id, e.type, e.created_at, e.sequence, e.organisation_id, e.data
      FROM claimed c JOIN events e ON e.id = c.event_id;
    END $$"""

# From one subscription with something pending to the next, without reading all between.
DUE = f"""
    CREATE FUNCTION teleconference.due_subscriptions(p_now timestamptz) RETURNS SETOF uuid
    LANGUAGE plpgsql STABLE {PLAN} AS $$
    DECLARE v_subscription uuid := '00000000-0000-0000-0000-000000000000';
    BEGIN
      LOOP
        SELECT d.subscription_id INTO v_subscription FROM webhook_deliveries d
          WHERE d.state = 'pending' AND d.subscription_id > v_subscription
          ORDER BY d.subscription_id LIMIT 1;
        EXIT WHEN NOT FOUND;
        PERFORM FROM ({DUE_HEADS.format(subscription="v_subscription")}) due LIMIT 1;
        IF FOUND THEN RETURN NEXT v_subscription; END IF;
      END LOOP;
    END $$"""

# Sessions, each of a subscription, whose first delivery failed and waits for its next attempt.
HELD = f"""
    CREATE FUNCTION teleconference.held_sessions(
        p_subscriptions uuid[], p_sessions uuid[], p_now timestamptz)
    RETURNS TABLE (subscription_id uuid, session_id uuid, until timestamptz)
    LANGUAGE plpgsql STABLE {PLAN} AS $$
    BEGIN RETURN QUERY
      SELECT p.subscription, p.session, head.next_attempt_at
      FROM unnest(p_subscriptions, p_sessions) p (subscription, session)
      CROSS JOIN LATERAL ({HEAD.format(subscription="p.subscription", session="p.session")}) head
      WHERE head.last_error IS NOT NULL AND head.next_attempt_at > p_now;
    END $$"""

TABLES = ("webhook_deliveries", "notifications")
FUNCTIONS = (
    "claim_events(integer, timestamptz)",
    "held_sessions(uuid[], uuid[], timestamptz)",
    "claim_deliveries(uuid, integer, timestamptz, timestamptz)",
    "due_subscriptions(timestamptz)",
)


def upgrade() -> None:
    for table in TABLES:
        op.add_column(
            table,
            sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
            schema="teleconference",
        )
    replace_due_index(["subscription_id", "next_attempt_at"])
    for statement in (CLAIM_EVENTS, HELD, CLAIM, DUE):
        op.execute(statement)
    for function in FUNCTIONS:
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{function} TO role_telehealth")


def replace_due_index(columns: list[str]) -> None:
    op.drop_index("ix_webhook_deliveries_due", "webhook_deliveries", schema="teleconference")
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        columns,
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    for function in FUNCTIONS:
        op.execute(f"DROP FUNCTION teleconference.{function}")
    replace_due_index(["next_attempt_at"])
    for table in TABLES:
        op.drop_column(table, "failures", schema="teleconference")
