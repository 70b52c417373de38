"""The ledger of consents, the texts people are shown, and sessions that plan a recording

Both tables only ever grow: the runtime role may add rows, and a trigger refuses everybody else.
The seat behind a link says what its person last answered, because the door asks it at every join.
"""

import sqlalchemy as sa
from alembic import context, op

revision = "0110"
down_revision = "0103"
branch_labels = None
depends_on = None

CURRENT = "current_setting('teleconsult.organisation_id', true)"
TABLES = ("consent_texts", "consents")

CONSENT_COLUMNS = (
    ", recording text, consent_act text, consent_language text, consent_sha256 text,"
    " own_text_sha256 text"
)
CONSENT_FIELDS = """, s.recording, c.act, c.language, c.text_sha256,
    (SELECT t.sha256 FROM consent_texts t
     WHERE t.organisation_id = o.id AND t.purpose = 'recording' AND t.language = c.language
     ORDER BY t.version DESC LIMIT 1)"""
LAST_WORD = """
    LEFT JOIN LATERAL (
        SELECT w.act, w.language, w.text_sha256 FROM consents w
        WHERE w.participant_id = p.id AND w.purpose = 'recording' AND w.act <> 'asked' {also}
        ORDER BY w.number DESC LIMIT 1) c ON true"""


def upgrade() -> None:
    op.add_column(
        "sessions",
        sa.Column("recording", sa.Text(), server_default="none", nullable=False),
        schema="teleconference",
    )
    op.create_check_constraint(
        op.f("ck_sessions_recording"),
        "sessions",
        "recording IN ('none', 'planned')",
        schema="teleconference",
    )
    create_texts()
    create_consents()
    for table in TABLES:
        protect(f"teleconference.{table}")
    replace_seats(CONSENT_COLUMNS, CONSENT_FIELDS, LAST_WORD.format(also=""))


def create_texts() -> None:
    op.create_table(
        "consent_texts",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("text", sa.Text(), nullable=False),
        sa.Column("sha256", sa.Text(), nullable=False),
        sa.Column("created_at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("purpose IN ('recording')", name=op.f("ck_consent_texts_purpose")),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consent_texts")),
        sa.UniqueConstraint(
            "organisation_id",
            "purpose",
            "language",
            "version",
            name=op.f("uq_consent_texts_organisation_id_purpose_language_version"),
        ),
        reference("consent_texts", "organisation"),
        schema="teleconference",
    )


def create_consents() -> None:
    op.create_table(
        "consents",
        sa.Column("id", sa.Uuid(), nullable=False),
        sa.Column("organisation_id", sa.Uuid(), nullable=False),
        sa.Column("session_id", sa.Uuid(), nullable=False),
        sa.Column("participant_id", sa.Uuid(), nullable=False),
        sa.Column("purpose", sa.Text(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("act", sa.Text(), nullable=False),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("language", sa.Text(), nullable=False),
        sa.Column("text_version", sa.Integer(), nullable=False),
        sa.Column("text_sha256", sa.Text(), nullable=False),
        sa.Column("actor_kind", sa.Text(), nullable=False),
        sa.Column("actor_id", sa.Text(), nullable=True),
        sa.Column("at", sa.DateTime(timezone=True), nullable=False),
        sa.CheckConstraint("purpose IN ('recording')", name=op.f("ck_consents_purpose")),
        sa.CheckConstraint(
            "act IN ('asked', 'given', 'refused', 'withdrawn')", name=op.f("ck_consents_act")
        ),
        sa.CheckConstraint(
            "channel IN ('page', 'link', 'room', 'api', 'paper', 'phone')",
            name=op.f("ck_consents_channel"),
        ),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_consents")),
        sa.UniqueConstraint(
            "participant_id",
            "purpose",
            "number",
            name=op.f("uq_consents_participant_id_purpose_number"),
        ),
        reference("consents", "organisation"),
        reference("consents", "session"),
        reference("consents", "participant"),
        schema="teleconference",
    )
    op.create_index(
        "ix_consents_session",
        "consents",
        ["session_id", "purpose", "participant_id", "number"],
        schema="teleconference",
    )


def reference(table: str, to: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        [f"{to}_id"], [f"teleconference.{to}s.id"], name=op.f(f"fk_{table}_{to}_id")
    )


def protect(table: str) -> None:
    op.execute(f"ALTER TABLE {table} ENABLE ROW LEVEL SECURITY")
    op.execute(
        f"CREATE POLICY by_organisation ON {table} TO role_telehealth"
        f" USING ({CURRENT} = '*' OR organisation_id::text = {CURRENT})"
    )
    op.execute(f"GRANT SELECT, INSERT ON {table} TO role_telehealth")
    op.execute(f"""
        CREATE TRIGGER consent_is_insert_only BEFORE UPDATE OR DELETE OR TRUNCATE ON {table}
        FOR EACH STATEMENT EXECUTE FUNCTION teleconference.refuse_change()""")


def replace_seats(columns: str, fields: str, join: str) -> None:
    """Give the seats more columns than those of the waiting room."""
    waiting = context.script.get_revision("0060").module
    waiting.replace_seat_functions(
        waiting.SEAT_COLUMNS + waiting.WAITING_COLUMNS + columns,
        waiting.SEAT.format(
            more=f", s.waiting_room, coalesce(w.state, ''){fields}",
            join=f"LEFT JOIN waiting w ON w.participant_id = p.id {join}",
        ),
    )


def downgrade() -> None:
    replace_seats("", "", "")
    for table in reversed(TABLES):
        op.drop_table(table, schema="teleconference")
    op.drop_constraint("ck_sessions_recording", "sessions", schema="teleconference")
    op.drop_column("sessions", "recording", schema="teleconference")
