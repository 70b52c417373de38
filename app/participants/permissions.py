"""Who may do what: one table, data and nothing else. An organisation may decide differently per
role, and one participant may be granted or refused a permission for one session."""

from collections.abc import Mapping
from enum import StrEnum
from functools import cache

Overrides = Mapping[str, bool]


class Permission(StrEnum):
    """What a participant may do in a session."""

    MODERATE = "moderate"
    MANAGE_PARTICIPANTS = "manage_participants"
    START_SESSION = "start_session"
    END_SESSION = "end_session"
    REQUEST_RECORDING = "request_recording"
    WATCH_RECORDINGS = "watch_recordings"
    SHARE_SCREEN = "share_screen"
    SHARE_FILES = "share_files"
    SHARE_PRESCRIPTIONS = "share_prescriptions"
    SEE_IMAGES = "see_images"
    SEE_XRAYS = "see_xrays"
    SEE_DOCUMENTS = "see_documents"
    SEE_PRESCRIPTIONS = "see_prescriptions"
    SEE_REPORTS = "see_reports"
    CHAT = "chat"
    ENTER_WITHOUT_HOST = "enter_without_host"
    ENTER_UNINVITED = "enter_uninvited"


class Role(StrEnum):
    """What a participant is in a session."""

    DOCTOR = "doctor"
    NURSE = "nurse"
    PATIENT = "patient"
    PARAMEDIC = "paramedic"
    INTERPRETER = "interpreter"
    RELATIVE = "relative"
    OBSERVER = "observer"


_P = Permission
_TALK = frozenset({_P.CHAT})
_CASE = frozenset({_P.SEE_IMAGES, _P.SEE_XRAYS, _P.SEE_DOCUMENTS, _P.SEE_REPORTS})

ALWAYS: dict[Role, frozenset[Permission]] = {
    Role.DOCTOR: frozenset(_P) - {_P.ENTER_UNINVITED},
    Role.NURSE: frozenset(
        {
            _P.MODERATE,
            _P.MANAGE_PARTICIPANTS,
            _P.START_SESSION,
            _P.SHARE_SCREEN,
            _P.SHARE_FILES,
            _P.CHAT,
            _P.ENTER_WITHOUT_HOST,
            _P.SEE_PRESCRIPTIONS,
            _P.WATCH_RECORDINGS,
        }
    )
    | _CASE,
    Role.PATIENT: frozenset({_P.SHARE_FILES, _P.CHAT, _P.SEE_PRESCRIPTIONS, _P.WATCH_RECORDINGS})
    | _CASE,
    Role.PARAMEDIC: frozenset({_P.SHARE_SCREEN, _P.SHARE_FILES, _P.CHAT}) | _CASE,
    # Both read forms with the patient.
    Role.INTERPRETER: _TALK | {_P.SEE_DOCUMENTS},
    Role.RELATIVE: _TALK | {_P.SEE_DOCUMENTS},
    Role.OBSERVER: frozenset(),
}

IN_AN_EMERGENCY: dict[Role, frozenset[Permission]] = {
    Role.PARAMEDIC: frozenset({_P.START_SESSION, _P.ENTER_WITHOUT_HOST, _P.ENTER_UNINVITED}),
}


def effective(
    role: str,
    *,
    kind: str,
    organisation: Mapping[str, Overrides],
    participant: Overrides,
) -> frozenset[Permission]:
    """Return what this participant may do: the table, then the organisation's word on the role,
    then what was said about this one person."""
    permissions = _usual(role, kind)
    for overrides in (organisation.get(role), participant):
        if not overrides:
            continue
        permissions |= {Permission(name) for name, allowed in overrides.items() if allowed}
        permissions -= {Permission(name) for name, allowed in overrides.items() if not allowed}
    return permissions


@cache
def _usual(role: str, kind: str) -> frozenset[Permission]:
    usual = ALWAYS[Role(role)]
    return usual | IN_AN_EMERGENCY.get(Role(role), frozenset()) if kind == "emergency" else usual
