"""Row-level security by organisation, the least-privilege roles, and an audit table nobody edits"""

from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

BY_ORGANISATION = [
    "api_clients",
    "sessions",
    "participants",
    "links",
    "attendance",
    "room_commands",
    "events",
    "webhook_subscriptions",
    "webhook_deliveries",
    "notifications",
    "idempotency_keys",
    "audit_entries",
]
CHANGEABLE = [t for t in BY_ORGANISATION if t != "audit_entries"]
SERVICE_WIDE = ["organisations", "signing_keys"]

CURRENT = "current_setting('teleconsult.organisation_id', true)"


def upgrade() -> None:
    require_roles()
    for table in BY_ORGANISATION:
        limit_to_organisation(table, "organisation_id")
    limit_to_organisation("organisations", "id")
    grant()
    protect_audit()


def require_roles() -> None:
    """Roles belong to the cluster and need more rights than a migration should have."""
    op.execute("""
        DO $$ BEGIN
          IF (SELECT count(*) FROM pg_roles WHERE rolname IN ('role_telehealth', 'role_audit')) < 2
          THEN RAISE EXCEPTION 'create the roles role_telehealth and role_audit first'
            USING HINT = 'docs/deployment.md shows the two statements'; END IF;
        END $$""")


def limit_to_organisation(table: str, column: str) -> None:
    name = f"teleconference.{table}"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR {column}::text = {CURRENT})"
    )


def grant() -> None:
    op.execute("GRANT USAGE ON SCHEMA teleconference TO role_telehealth, role_audit")
    for table in CHANGEABLE + SERVICE_WIDE:
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON teleconference.{table} TO role_telehealth")
    for table in ("audit_entries", "room_events"):
        op.execute(f"GRANT SELECT, INSERT ON teleconference.{table} TO role_telehealth")
    op.execute("GRANT SELECT ON teleconference.alembic_version TO role_telehealth")
    op.execute("GRANT SELECT ON teleconference.audit_entries TO role_audit")
    op.execute("CREATE POLICY read_all ON teleconference.audit_entries TO role_audit USING (true)")


def protect_audit() -> None:
    op.execute("""
        CREATE FUNCTION teleconference.refuse_change() RETURNS trigger LANGUAGE plpgsql AS $$
        BEGIN RAISE EXCEPTION 'audit entries are never changed or deleted'; END $$""")
    op.execute("""
        CREATE TRIGGER audit_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE
        ON teleconference.audit_entries FOR EACH STATEMENT
        EXECUTE FUNCTION teleconference.refuse_change()""")


def downgrade() -> None:
    op.execute("DROP TRIGGER audit_is_insert_only ON teleconference.audit_entries")
    op.execute("DROP FUNCTION teleconference.refuse_change()")
    op.execute("DROP POLICY read_all ON teleconference.audit_entries")
    op.execute("REVOKE ALL ON ALL TABLES IN SCHEMA teleconference FROM role_telehealth, role_audit")
    op.execute("REVOKE USAGE ON SCHEMA teleconference FROM role_telehealth, role_audit")
    for table in [*BY_ORGANISATION, "organisations"]:
        op.execute(f"DROP POLICY by_organisation ON teleconference.{table}")
        op.execute(f"ALTER TABLE teleconference.{table} DISABLE ROW LEVEL SECURITY")
