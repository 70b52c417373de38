"""The seat behind a link says whether its session has files, so that a room without any need not ask

Prosody asks for its seat at every join; the list of files is a question of its own.
"""

from alembic import context

revision = "0152"
down_revision = "0151"
branch_labels = None
depends_on = None

COLUMN = ", has_files boolean"
FIELD = """, EXISTS (
    SELECT FROM session_files f WHERE f.session_id = s.id AND f.state <> 'deleted')"""


def upgrade() -> None:
    replace_seats(COLUMN, FIELD)


def downgrade() -> None:
    replace_seats("", "")


def replace_seats(column: str, field: str) -> None:
    consents = context.script.get_revision("0110").module
    recordings = context.script.get_revision("0111").module
    consents.replace_seats(
        consents.CONSENT_COLUMNS + recordings.COLUMNS + column,
        consents.CONSENT_FIELDS + recordings.FIELDS + field,
        recordings.NEWEST + consents.LAST_WORD.format(also=recordings.IF_NEEDED),
    )
