"""The permission table is the one of the requirements, row by row."""

import pytest

from app.participants.permissions import Permission, Role, effective

ROLES = ("doctor", "nurse", "patient", "paramedic", "interpreter", "relative", "observer")
# Written down from the requirements: y always, e in an emergency only, - never. Watching came
# later: whoever treats or is treated.
EXPECTED = {
    #                      doctor nurse patient paramedic interpreter relative observer
    "moderate": "             y     y      -        -          -         -        -",
    "manage_participants": "  y     y      -        -          -         -        -",
    "start_session": "        y     y      -        e          -         -        -",
    "end_session": "          y     -      -        -          -         -        -",
    "request_recording": "    y     -      -        -          -         -        -",
    "watch_recordings": "     y     y      y        -          -         -        -",
    "share_screen": "         y     y      -        y          -         -        -",
    "share_files": "          y     y      y        y          -         -        -",
    "share_prescriptions": "  y     -      -        -          -         -        -",
    "see_images": "           y     y      y        y          -         -        -",
    "see_xrays": "            y     y      y        y          -         -        -",
    "see_documents": "        y     y      y        y          y         y        -",
    "see_prescriptions": "    y     y      y        -          -         -        -",
    "see_reports": "          y     y      y        y          -         -        -",
    "chat": "                 y     y      y        y          y         y        -",
    "enter_without_host": "   y     y      -        e          -         -        -",
    "enter_uninvited": "      -     -      -        e          -         -        -",
}
ROWS = [
    (permission, role, mark)
    for permission, marks in EXPECTED.items()
    for role, mark in zip(ROLES, marks.split(), strict=True)
]


def rights(
    role: str, kind: str = "consultation", **words: dict[str, bool]
) -> frozenset[Permission]:
    """Return the permissions of a role with the organisation's and the person's overrides."""
    organisation = {role: words.get("organisation", {})}
    return effective(
        role, kind=kind, organisation=organisation, participant=words.get("participant", {})
    )


@pytest.mark.parametrize(("permission", "role", "mark"), ROWS)
def test_a_role_has_exactly_what_the_requirements_give_it(
    permission: str, role: str, mark: str
) -> None:
    """Requirements, section 2."""
    assert (permission in rights(role)) == (mark == "y")
    assert (permission in rights(role, "emergency")) == (mark in "ye")


def test_the_table_speaks_of_every_permission_and_every_role() -> None:
    """A permission or role added later must be decided for everybody."""
    assert set(EXPECTED) == {str(p) for p in Permission}
    assert set(ROLES) == {str(r) for r in Role}


def test_an_organisation_decides_differently_for_a_role() -> None:
    """Both ways: granting and taking."""
    granted = rights("observer", organisation={"chat": True})
    taken = rights("doctor", organisation={"end_session": False})
    assert granted == {Permission.CHAT}
    assert Permission.END_SESSION not in taken


def test_another_roles_override_changes_nothing() -> None:
    """The organisation's word on nurses is not one on doctors."""
    given = effective(
        "doctor", kind="consultation", organisation={"nurse": {"chat": False}}, participant={}
    )
    assert given == rights("doctor")


def test_what_was_said_about_one_person_is_the_last_word() -> None:
    """The organisation takes, the person is given back, and the other way round."""
    back = rights("patient", organisation={"chat": False}, participant={"chat": True})
    taken = rights("observer", organisation={"chat": True}, participant={"chat": False})
    assert Permission.CHAT in back
    assert Permission.CHAT not in taken


def test_a_word_about_a_permission_that_does_not_exist_is_a_fault() -> None:
    """It would otherwise be ignored, and somebody believes it holds."""
    with pytest.raises(ValueError, match="fly"):
        rights("doctor", participant={"fly": True})
