"""A file shared by Jitsi's own button keeps the id that its client gave it"""

import sqlalchemy as sa
from alembic import op

revision = "0150"
down_revision = "0140"
branch_labels = None
depends_on = None

SCHEMA = "teleconference"
INDEX = "ix_session_files_jitsi"


def upgrade() -> None:
    op.add_column("session_files", sa.Column("jitsi_id", sa.Uuid()), schema=SCHEMA)
    op.create_index(INDEX, "session_files", ["session_id", "jitsi_id"], unique=True, schema=SCHEMA)


def downgrade() -> None:
    op.drop_index(INDEX, "session_files", schema=SCHEMA)
    op.drop_column("session_files", "jitsi_id", schema=SCHEMA)
