"""Positions in the feed of events, webhooks that pause and rotate, and a claim that skips

A position is given by the relay, under its lock: whoever reads up to a position has seen every
event before it, in whichever order transactions committed. A time or an id cannot promise that.

The claim went from row to row of what is due and asked for each whether it is the first of its
session: 0.39 s for 100,000 of one session. Now it goes from session to session.
"""

import sqlalchemy as sa
from alembic import context, op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0050"
down_revision = "0040"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
PLAN = """SET search_path = teleconference, pg_temp
    SET enable_seqscan = off SET enable_bitmapscan = off SET enable_hashjoin = off
    SET enable_mergejoin = off SET enable_sort = off SET jit = off"""

# As in migration 0010, and each gets its position: sessions by time, events of a session in its
# order. Only for the holder of the relay's lock, so that positions become visible in their order.
CLAIM_EVENTS = f"""
    CREATE FUNCTION teleconference.claim_events(p_limit integer, p_now timestamptz)
    RETURNS TABLE (id uuid, organisation_id uuid, session_id uuid, sequence integer, type text,
        data jsonb)
    LANGUAGE plpgsql {PLAN} AS $$
    #variable_conflict use_column
    BEGIN
      RETURN QUERY
      WITH oldest AS MATERIALIZED (
        SELECT e.session_id FROM events e WHERE e.relayed_at IS NULL ORDER BY e.id LIMIT p_limit),
      found AS MATERIALIZED (SELECT session_id, count(*) AS number FROM oldest GROUP BY session_id),
      chosen AS MATERIALIZED (
        SELECT first.* FROM found CROSS JOIN LATERAL (
          SELECT n.id, n.session_id, n.sequence, n.created_at FROM events n
          WHERE n.session_id = found.session_id AND n.relayed_at IS NULL
          ORDER BY n.sequence LIMIT found.number) first),
      timed AS MATERIALIZED (
        SELECT id, session_id, sequence,
          max(created_at) OVER (PARTITION BY session_id ORDER BY sequence) AS at FROM chosen),
      placed AS MATERIALIZED (
        SELECT id, nextval('teleconference.event_positions') AS position
        FROM (SELECT id FROM timed ORDER BY at, session_id, sequence) ordered)
      UPDATE events e SET relayed_at = p_now, position = placed.position
      FROM placed WHERE e.id = placed.id
      RETURNING e.id, e.organisation_id, e.session_id, e.sequence, e.type, e.data;
      IF FOUND THEN PERFORM pg_notify('teleconsult_feed', ''); END IF;
    END $$"""

# What was handed on before there were positions, in that order.
PLACE_THE_OLD = """
    UPDATE teleconference.events e SET position = placed.position FROM (
      SELECT id, nextval('teleconference.event_positions') AS position FROM (
        SELECT id FROM teleconference.events WHERE relayed_at IS NOT NULL
        ORDER BY relayed_at, session_id, sequence) ordered) placed
    WHERE e.id = placed.id"""

HEAD = """
    SELECT h.id, h.next_attempt_at, h.last_error FROM webhook_deliveries h
    WHERE h.subscription_id = {subscription} AND h.session_id = {session} AND h.state = 'pending'
    ORDER BY h.sequence LIMIT 1"""

# The earliest pending delivery of each session, where that is due. From one pair of moment and
# session to the next, however many deliveries share it; a head is taken at its own pair.
DUE_HEADS = f"""
    CREATE FUNCTION teleconference.due_heads(
        p_subscription uuid, p_limit integer, p_now timestamptz)
    RETURNS SETOF uuid LANGUAGE plpgsql STABLE ROWS 8 {PLAN} AS $$
    DECLARE
      v_at timestamptz := '-infinity';
      v_session uuid := '00000000-0000-0000-0000-000000000000';
      v_head record;
      v_found integer := 0;
    BEGIN
      WHILE v_found < p_limit LOOP
        SELECT d.next_attempt_at, d.session_id INTO v_at, v_session FROM webhook_deliveries d
          WHERE d.subscription_id = p_subscription AND d.state = 'pending'
            AND d.next_attempt_at <= p_now
            AND (d.next_attempt_at, d.session_id) > (v_at, v_session)
          ORDER BY d.next_attempt_at, d.session_id LIMIT 1;
        EXIT WHEN NOT FOUND;
        {HEAD.format(subscription="p_subscription", session="v_session")} INTO v_head;
        IF v_head.next_attempt_at = v_at THEN
          v_found := v_found + 1;
          RETURN NEXT v_head.id;
        END IF;
      END LOOP;
    END $$"""

# As in migration 0010, from the heads found above, and nothing of a subscription that is paused.
CLAIM = f"""
    CREATE FUNCTION teleconference.claim_deliveries(
        p_subscription uuid, p_limit integer, p_lease_until timestamptz, p_now timestamptz)
    RETURNS TABLE (delivery_id uuid, attempt integer, failures integer, redeliveries integer,
        id uuid, type text, created_at timestamptz, sequence integer, organisation_id uuid,
        data jsonb)
    LANGUAGE plpgsql {PLAN} AS $$
    #variable_conflict use_column
    BEGIN RETURN QUERY
      WITH free AS MATERIALIZED (
        SELECT d.id FROM due_heads(p_subscription, p_limit, p_now) due (id)
        JOIN webhook_deliveries d ON d.id = due.id
        WHERE d.state = 'pending' AND d.next_attempt_at <= p_now FOR UPDATE OF d SKIP LOCKED),
      claimed AS (
        UPDATE webhook_deliveries d
        SET next_attempt_at = p_lease_until, attempts = d.attempts + 1, last_error = NULL
        FROM free WHERE d.id = free.id
        RETURNING d.id, d.attempts, d.failures, d.redeliveries, d.event_id)
      SELECT c.id, c.attempts, c.failures, c.redeliveries, e.id, e.type, e.created_at, e.sequence,
        e.organisation_id, e.data
      FROM claimed c JOIN events e ON e.id = c.event_id;
    END $$"""

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
        PERFORM FROM webhook_subscriptions s WHERE s.id = v_subscription AND s.paused_at IS NOT NULL;
        CONTINUE WHEN FOUND;
        PERFORM FROM due_heads(v_subscription, 1, p_now);
        IF FOUND THEN RETURN NEXT v_subscription; END IF;
      END LOOP;
    END $$"""

# From when a new delivery of a session is due: behind a failed one when that is tried again; else
# from when the last one waiting is due, so that what waits together stays one step for the claim.
HELD = f"""
    CREATE FUNCTION teleconference.held_sessions(
        p_subscriptions uuid[], p_sessions uuid[], p_now timestamptz)
    RETURNS TABLE (subscription_id uuid, session_id uuid, until timestamptz)
    LANGUAGE plpgsql STABLE {PLAN} AS $$
    BEGIN RETURN QUERY
      SELECT p.subscription, p.session,
        CASE WHEN head.last_error IS NOT NULL AND head.next_attempt_at > p_now
          THEN head.next_attempt_at ELSE least(tail.next_attempt_at, p_now) END
      FROM unnest(p_subscriptions, p_sessions) p (subscription, session)
      CROSS JOIN LATERAL ({HEAD.format(subscription="p.subscription", session="p.session")}) head
      CROSS JOIN LATERAL (
        SELECT t.next_attempt_at FROM webhook_deliveries t
        WHERE t.subscription_id = p.subscription AND t.session_id = p.session
          AND t.state = 'pending' ORDER BY t.sequence DESC LIMIT 1) tail;
    END $$"""

REPLACED = (
    "claim_events(integer, timestamptz)",
    "held_sessions(uuid[], uuid[], timestamptz)",
    "claim_deliveries(uuid, integer, timestamptz, timestamptz)",
    "due_subscriptions(timestamptz)",
)
FUNCTIONS = (*REPLACED, "due_heads(uuid, integer, timestamptz)")
SUBSCRIPTION_COLUMNS = (
    sa.Column("roles", JSONB(), server_default=sa.text("'[]'::jsonb"), nullable=False),
    sa.Column("paused_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("pause_reason", sa.Text(), nullable=True),
    sa.Column("failing_since", sa.DateTime(timezone=True), nullable=True),
    sa.Column("previous_secret", sa.LargeBinary(), nullable=True),
    sa.Column("previous_secret_until", sa.DateTime(timezone=True), nullable=True),
)
DELIVERY_COLUMNS = (
    sa.Column("redeliveries", sa.Integer(), server_default="0", nullable=False),
    sa.Column("last_attempt_at", sa.DateTime(timezone=True), nullable=True),
    sa.Column("last_duration_ms", sa.Integer(), nullable=True),
)


def upgrade() -> None:
    add_positions()
    for column in SUBSCRIPTION_COLUMNS:
        op.add_column("webhook_subscriptions", column, schema=SCHEMA)
    op.create_check_constraint(
        "pause_reason",
        "webhook_subscriptions",
        "pause_reason IN ('requested', 'failing') AND paused_at IS NOT NULL"
        " OR pause_reason IS NULL AND paused_at IS NULL",
        schema=SCHEMA,
    )
    for column in DELIVERY_COLUMNS:
        op.add_column("webhook_deliveries", column, schema=SCHEMA)
    op.create_index(
        "ix_webhook_deliveries_page",
        "webhook_deliveries",
        ["subscription_id", "created_at", "id"],
        schema=SCHEMA,
    )
    replace_due_index(["subscription_id", "next_attempt_at", "session_id"])
    drop_functions(REPLACED)
    for statement in (CLAIM_EVENTS, DUE_HEADS, HELD, CLAIM, DUE):
        op.execute(statement)
    allow(FUNCTIONS)


def add_positions() -> None:
    op.execute("CREATE SEQUENCE teleconference.event_positions")
    op.execute("GRANT USAGE ON SEQUENCE teleconference.event_positions TO role_telehealth")
    op.add_column("events", sa.Column("position", sa.BigInteger(), nullable=True), schema=SCHEMA)
    op.execute(PLACE_THE_OLD)
    placed = sa.text("position IS NOT NULL")
    op.create_index(
        "ix_events_position", "events", ["position"], schema=SCHEMA, unique=True,
        postgresql_where=placed,
    )  # fmt: skip
    op.create_index(
        "ix_events_feed", "events", ["organisation_id", "position"], schema=SCHEMA,
        postgresql_where=placed,
    )  # fmt: skip


def allow(functions: tuple[str, ...]) -> None:
    for function in functions:
        op.execute(f"REVOKE ALL ON FUNCTION teleconference.{function} FROM PUBLIC")
        op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{function} TO role_telehealth")


def drop_functions(functions: tuple[str, ...]) -> None:
    for function in functions:
        op.execute(f"DROP FUNCTION teleconference.{function}")


def replace_due_index(columns: list[str]) -> None:
    op.drop_index("ix_webhook_deliveries_due", "webhook_deliveries", schema=SCHEMA)
    op.create_index(
        "ix_webhook_deliveries_due",
        "webhook_deliveries",
        columns,
        schema=SCHEMA,
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    former = context.script.get_revision("0010").module
    drop_functions(FUNCTIONS)
    replace_due_index(["subscription_id", "next_attempt_at"])
    op.drop_index("ix_webhook_deliveries_page", "webhook_deliveries", schema=SCHEMA)
    for column in DELIVERY_COLUMNS:
        op.drop_column("webhook_deliveries", column.name, schema=SCHEMA)
    for column in SUBSCRIPTION_COLUMNS:
        op.drop_column("webhook_subscriptions", column.name, schema=SCHEMA)
    op.drop_column("events", "position", schema=SCHEMA)  # and its indexes
    op.execute("DROP SEQUENCE teleconference.event_positions")
    for statement in (former.CLAIM_EVENTS, former.HELD, former.CLAIM, former.DUE):
        op.execute(statement)
    allow(REPLACED)
