"""Hospitals' own services for patients and doctors: where they are, and what they are told"""

import sqlalchemy as sa
from alembic import op

revision = "0080"
down_revision = "0075"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"
TABLES = ("directory_connections", "visit_reports")

# The runtime role may read patients and providers and no more, as the seed's grants say. What the
# hospital's own service answers comes in here, for the organisation of the transaction alone.
LEARN = """
    CREATE FUNCTION clinical.learn_person(p_kind text, p_id uuid, p_organisation uuid,
        p_reference text, p_display_name text, p_email text, p_phone text, p_language text,
        p_is_active boolean, p_now timestamptz)
    RETURNS void LANGUAGE plpgsql SECURITY DEFINER SET search_path = clinical, pg_temp AS $$
    BEGIN
      IF p_organisation::text IS DISTINCT FROM current_setting('teleconsult.organisation_id', true)
      THEN RAISE EXCEPTION 'a person is learned for the organisation of the transaction'; END IF;
      IF p_kind = 'patient' THEN
        INSERT INTO patients (id, organisation_id, reference, display_name, email, phone,
            language, is_active, updated_at) VALUES (p_id, p_organisation, p_reference, p_display_name, p_email,
            p_phone, p_language, p_is_active, p_now)
        ON CONFLICT (organisation_id, reference) DO UPDATE SET display_name = p_display_name,
            email = p_email, phone = p_phone, language = p_language, is_active = p_is_active,
            updated_at = p_now;
      ELSE
        INSERT INTO providers (id, organisation_id, reference, display_name, email, phone,
            language, is_active, updated_at) VALUES (p_id, p_organisation, p_reference, p_display_name, p_email,
            p_phone, p_language, p_is_active, p_now)
        ON CONFLICT (organisation_id, reference) DO UPDATE SET display_name = p_display_name,
            email = p_email, phone = p_phone, language = p_language, is_active = p_is_active,
            updated_at = p_now;
      END IF;
    END $$"""
LEARN_SIGNATURE = (
    "clinical.learn_person(text, uuid, uuid, text, text, text, text, text, boolean, timestamptz)"
)


def upgrade() -> None:
    create_connections()
    create_reports()
    for table in TABLES:
        name = f"teleconference.{table}"
        op.execute(f"ALTER TABLE {name} ENABLE ROW LEVEL SECURITY")
        op.execute(
            f"CREATE POLICY by_organisation ON {name} TO role_telehealth"
            f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
        )
        op.execute(f"GRANT SELECT, INSERT, UPDATE ON {name} TO role_telehealth")
    op.execute(LEARN)
    op.execute(f"REVOKE ALL ON FUNCTION {LEARN_SIGNATURE} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION {LEARN_SIGNATURE} TO role_telehealth")


def create_connections() -> None:
    op.create_table(
        "directory_connections",
        sa.Column(
            "organisation_id",
            sa.Uuid(),
            sa.ForeignKey("teleconference.organisations.id"),
            primary_key=True,
        ),
        sa.Column("protocol", sa.Text(), nullable=False),
        sa.Column("patients_url", sa.Text(), nullable=False),
        sa.Column("providers_url", sa.Text(), nullable=False),
        sa.Column("token", sa.LargeBinary()),
        sa.Column("is_active", sa.Boolean(), server_default=sa.true(), nullable=False),
        sa.Column("updated_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("protocol IN ('rest', 'fhir')", name="protocol"),
        schema="teleconference",
    )


def create_reports() -> None:
    op.create_table(
        "visit_reports",
        sa.Column(
            "appointment_id", sa.Uuid(), sa.ForeignKey("clinical.appointments.id"), primary_key=True
        ),
        sa.Column("kind", sa.Text(), primary_key=True),
        sa.Column(
            "organisation_id",
            sa.Uuid(),
            sa.ForeignKey("teleconference.organisations.id"),
            nullable=False,
        ),
        sa.Column("state", sa.Text(), nullable=False),
        sa.Column("changes", sa.Integer(), nullable=False),
        sa.Column("attempts", sa.Integer(), server_default="0", nullable=False),
        sa.Column("failures", sa.Integer(), server_default="0", nullable=False),
        sa.Column("next_attempt_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("last_error", sa.Text()),
        sa.Column("reported_at", sa.DateTime(timezone=True)),
        sa.CheckConstraint("kind IN ('patient', 'provider')", name="kind"),
        sa.CheckConstraint("state IN ('pending', 'reported', 'failed')", name="state"),
        schema="teleconference",
    )
    op.create_index(
        "ix_visit_reports_due",
        "visit_reports",
        ["organisation_id", "next_attempt_at"],
        schema="teleconference",
        postgresql_where=sa.text("state = 'pending'"),
    )


def downgrade() -> None:
    op.execute(f"DROP FUNCTION {LEARN_SIGNATURE}")
    for table in reversed(TABLES):
        op.drop_table(table, schema="teleconference")
