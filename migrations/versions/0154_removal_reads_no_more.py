"""Removing a person answers with the room's name, which was looked up by reading all sessions

PostgreSQL took the function for one that returns a thousand rows, and joined them with the whole
table. The rest is as migration 0075 made it.
"""

from alembic import context, op

revision = "0154"
down_revision = "0152"
branch_labels = None
depends_on = None

FORMER = "RETURNS SETOF teleconference.participants\n    LANGUAGE plpgsql"
NOW = "RETURNS TABLE (person teleconference.participants, room_name text)\n    LANGUAGE plpgsql ROWS 1"


def upgrade() -> None:
    former = context.script.get_revision("0075").module
    changes = (
        (FORMER, NOW),
        ("AS $$", "AS $$ #variable_conflict use_column"),
        ("RETURN NEXT v_person;", "RETURN QUERY SELECT v_person, v_room;"),
    )
    function = former.REMOVE
    for was, becomes in changes:
        assert was in function, was
        function = function.replace(was, becomes)
    former.downgrade()
    make(function, former.SIGNATURE)


def downgrade() -> None:
    former = context.script.get_revision("0075").module
    former.downgrade()
    former.upgrade()


def make(function: str, signature: str) -> None:
    op.execute(function)
    op.execute(f"REVOKE ALL ON FUNCTION teleconference.{signature} FROM PUBLIC")
    op.execute(f"GRANT EXECUTE ON FUNCTION teleconference.{signature} TO role_telehealth")
