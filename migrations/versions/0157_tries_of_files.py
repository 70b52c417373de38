"""The tries to check a file are counted apart from its claims

An outage of the scanner claims a file again and again, and is not the file's fault: after one, a
single fault of ours destroyed a good file, and a file that kills its workers was tried for ever.
"""

import sqlalchemy as sa
from alembic import op

revision = "0157"
down_revision = "0156"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column(
        "session_files",
        sa.Column("tries", sa.Integer(), server_default="0", nullable=False),
        schema="teleconference",
    )


def downgrade() -> None:
    op.drop_column("session_files", "tries", schema="teleconference")
