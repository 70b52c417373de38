"""Pages of the audit log that take no longer after years

A page is looked for by one function, whose plans are made once per connection: to plan over the
partitions of seven years takes ten times as long as to look into them. Each of its ways goes along
an index that leads to what is asked for; the other conditions pick among a number of entries that
the caller bounds.

One index more, and not on the way of a join: participants and rooms are busy in every hospital, so
their entries need none to be found.
"""

from alembic import op

revision = "0103"
down_revision = "0090"
branch_labels = None
depends_on = None

KIND = "actor_kind NOT IN ('participant', 'room')"
MINE = "e.organisation_id = p_organisation"
BEFORE = "(e.at, e.id) < (p_at, p_id)"


def by_one(column: str, value: str) -> tuple[str, str]:
    return (
        f"({column}, e.at, e.id) < ({value}, p_at, p_id) AND {column} >= {value} AND {MINE}",
        column,
    )


def by_two(column: str, value: str, also: str = "true") -> tuple[str, str]:
    held = f"{column} >= {value} AND {column} <= {value}"
    return f"{MINE} AND {held} AND {also} AND {BEFORE}", column


# Way: what leads along its index, and the column that this has before the time. That is held between
# two ends, never said to equal: then it would not count in the order, and other indexes would have
# the same. By statistics PostgreSQL may rather read all entries of an organisation.
WAYS = {
    "session": by_one("e.session_id", "p_session"),
    "participant": by_one("e.participant_id", "p_participant"),
    "actor": by_one("e.actor_id", "p_actor"),
    "refused": (f"{MINE} AND e.outcome = 'refused' AND {BEFORE}", "e.organisation_id"),
    "action": by_two("e.action", "p_action"),
    "kind": by_two("e.actor_kind", "p_kind", f"e.{KIND}"),
    "all": (f"{MINE} AND {BEFORE}", "e.organisation_id"),
}

# What was examined last follows what was found, unless that is enough: there the next page goes on.
LOOK = """
    WITH examined AS MATERIALIZED (
        SELECT * FROM audit_entries e
        WHERE {leads} AND e.at >= p_since AND e.at <= p_at
        ORDER BY {first} DESC, e.at DESC, e.id DESC LIMIT p_most),
      found AS MATERIALIZED (
        SELECT * FROM examined e
        WHERE (p_session IS NULL OR e.session_id = p_session)
          AND (p_participant IS NULL OR e.participant_id = p_participant)
          AND (p_actor IS NULL OR e.actor_id = p_actor)
          AND (p_kind IS NULL OR e.actor_kind = p_kind)
          AND (p_action IS NULL OR e.action = p_action)
          AND (p_outcome IS NULL OR e.outcome = p_outcome)
        LIMIT p_limit)
    SELECT * FROM found
    UNION ALL
    (SELECT * FROM examined WHERE (SELECT count(*) FROM found) < p_limit OFFSET p_most - 1)"""


BRANCHES = "".join(
    f"WHEN '{way}' THEN RETURN QUERY {LOOK.format(leads=leads, first=first)};\n"
    for way, (leads, first) in WAYS.items()
)

SIGNATURE = "audit_page(text, uuid, timestamptz, timestamptz, uuid, integer, integer, uuid, uuid, text, text, text, text)"
PAGE = f"""
    CREATE FUNCTION teleconference.audit_page(
      p_way text, p_organisation uuid, p_since timestamptz, p_at timestamptz, p_id uuid,
      p_limit integer, p_most integer, p_session uuid, p_participant uuid, p_actor text,
      p_kind text, p_action text, p_outcome text)
    RETURNS SETOF teleconference.audit_entries LANGUAGE plpgsql STABLE
    SET search_path = teleconference, pg_temp SET enable_seqscan = off
    SET enable_bitmapscan = off SET enable_sort = off SET jit = off
    SET plan_cache_mode = force_generic_plan AS $$
    BEGIN
      CASE p_way
      {BRANCHES}
      END CASE;
    END $$"""


def upgrade() -> None:
    op.execute(f"""
        CREATE INDEX ix_audit_entries_kind
        ON teleconference.audit_entries (organisation_id, actor_kind, at, id) WHERE {KIND}""")
    op.execute(PAGE)
    op.execute(f"REVOKE ALL ON FUNCTION teleconference.{SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{SIGNATURE} TO role_telehealth")


def downgrade() -> None:
    op.execute(f"DROP FUNCTION teleconference.{SIGNATURE}")
    op.execute("DROP INDEX teleconference.ix_audit_entries_kind")
