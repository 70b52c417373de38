"""Who sweeps second trims no session again, and the audit log tells of it once

Two workers may find the same session before either has it. The second gets its lock when the first
is done, and looks again then. The rest is as migration 0140 made it.
"""

from alembic import context, op

revision = "0155"
down_revision = "0152"
branch_labels = None
depends_on = None

FORMER = "WHERE s.id = ANY(p_ids) AND"
NOW = "WHERE s.id = ANY(p_ids) AND s.trimmed_at IS NULL AND"


def upgrade() -> None:
    function = trim()
    assert FORMER in function
    op.execute(function.replace(FORMER, NOW))


def downgrade() -> None:
    op.execute(trim())


def trim() -> str:
    """Return what migration 0140 made, to replace what is there."""
    former: str = context.script.get_revision("0140").module.TRIM
    return former.replace("CREATE FUNCTION", "CREATE OR REPLACE FUNCTION")
