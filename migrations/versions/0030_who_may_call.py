"""Client secrets that overlap, the hospitals' own identity providers, and staff who sign in"""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects import postgresql

revision = "0030"
down_revision = "0021"
branch_labels = None
depends_on = None

TABLES = ("client_secrets", "identity_providers", "staff_sessions")
CURRENT = "current_setting('teleconsult.organisation_id', true)"

# A session says who worked when; a month after its end nobody needs it any more (what was done in
# it stands in the audit log).
PURGE = """
    CREATE FUNCTION teleconference.purge_staff_sessions(p_now timestamptz) RETURNS bigint
    LANGUAGE plpgsql SECURITY DEFINER SET search_path = teleconference, pg_temp AS $$
    DECLARE v_deleted bigint;
    BEGIN
      DELETE FROM staff_sessions WHERE expires_at < least(p_now, now()) - interval '30 days';
      GET DIAGNOSTICS v_deleted = ROW_COUNT;
      RETURN v_deleted;
    END $$"""


def upgrade() -> None:
    create_client_secrets()
    create_identity_providers()
    create_staff_sessions()
    for table in TABLES:
        limit_to_organisation(table)
    op.execute(PURGE)
    op.execute(
        "REVOKE ALL ON FUNCTION teleconference.purge_staff_sessions(timestamptz) FROM PUBLIC"
    )
    op.execute(
        "GRANT EXECUTE ON FUNCTION teleconference.purge_staff_sessions(timestamptz)"
        " TO role_telehealth"
    )


def create_client_secrets() -> None:
    op.create_table(
        "client_secrets",
        sa.Column("id", sa.Uuid(), primary_key=True),
        organisation(),
        reference("client_id", "api_clients"),
        sa.Column("secret_hash", sa.LargeBinary(), nullable=False),
        moment("created_at"),
        moment("expires_at", nullable=True),
        moment("last_used_at", nullable=True),
        schema="teleconference",
    )
    op.create_index(
        "ix_client_secrets_client_id", "client_secrets", ["client_id"], schema="teleconference"
    )
    op.execute("""
        INSERT INTO teleconference.client_secrets
          (id, organisation_id, client_id, secret_hash, created_at, last_used_at)
        SELECT gen_random_uuid(), organisation_id, id, secret_hash, created_at, last_used_at
        FROM teleconference.api_clients""")
    op.drop_column("api_clients", "secret_hash", schema="teleconference")
    op.drop_column("api_clients", "last_used_at", schema="teleconference")


def create_identity_providers() -> None:
    op.create_table(
        "identity_providers",
        sa.Column("id", sa.Uuid(), primary_key=True),
        organisation(),
        sa.Column("issuer", sa.Text(), nullable=False),
        sa.Column("client_id", sa.Text(), nullable=False),
        sa.Column("client_secret", sa.LargeBinary(), nullable=True),
        sa.Column("audience", sa.Text(), nullable=False),
        sa.Column("roles_claim", sa.Text(), nullable=False),
        sa.Column("name_claim", sa.Text(), nullable=False),
        sa.Column("role_scopes", postgresql.JSONB(), nullable=False),
        moment("created_at"),
        moment("removed_at", nullable=True),
        schema="teleconference",
    )
    op.create_index(
        "ix_identity_providers_one_per_issuer",
        "identity_providers",
        ["issuer"],
        unique=True,
        postgresql_where=sa.text("removed_at IS NULL"),
        schema="teleconference",
    )


def create_staff_sessions() -> None:
    op.create_table(
        "staff_sessions",
        sa.Column("id", sa.Uuid(), primary_key=True),
        organisation(),
        reference("provider_id", "identity_providers"),
        sa.Column("sign_in_id", sa.Uuid(), nullable=False),
        sa.Column("token_hash", sa.LargeBinary(), nullable=False),
        sa.Column("subject", sa.Uuid(), nullable=False),
        sa.Column("name", sa.Text(), nullable=False),
        sa.Column("scopes", postgresql.JSONB(), nullable=False),
        moment("created_at"),
        moment("last_seen_at"),
        moment("expires_at"),
        moment("ended_at", nullable=True),
        sa.UniqueConstraint("token_hash"),
        sa.UniqueConstraint("sign_in_id"),
        schema="teleconference",
    )
    for column in ("subject", "expires_at"):
        op.create_index(
            f"ix_staff_sessions_{column}", "staff_sessions", [column], schema="teleconference"
        )


def organisation() -> sa.Column[object]:
    return reference("organisation_id", "organisations")


def reference(name: str, table: str) -> sa.Column[object]:
    key = sa.ForeignKey(f"teleconference.{table}.id")
    return sa.Column(name, sa.Uuid(), key, nullable=False)


def moment(name: str, *, nullable: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=nullable)


def limit_to_organisation(table: str) -> None:
    name = f"teleconference.{table}"
    op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute(f"GRANT SELECT, INSERT, UPDATE ON {name} TO role_telehealth")


def downgrade() -> None:
    op.execute("DROP FUNCTION teleconference.purge_staff_sessions(timestamptz)")
    op.add_column(
        "api_clients", sa.Column("secret_hash", sa.LargeBinary()), schema="teleconference"
    )
    op.add_column("api_clients", moment("last_used_at", nullable=True), schema="teleconference")
    # The newest secret of each: a client had one.
    op.execute("""
        UPDATE teleconference.api_clients c
        SET secret_hash = s.secret_hash, last_used_at = s.last_used_at
        FROM (SELECT DISTINCT ON (client_id) * FROM teleconference.client_secrets
              ORDER BY client_id, created_at DESC) s WHERE s.client_id = c.id""")
    op.alter_column("api_clients", "secret_hash", nullable=False, schema="teleconference")
    for table in reversed(TABLES):
        op.drop_table(table, schema="teleconference")
