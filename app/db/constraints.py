"""What the database refuses, said in the service's words: it is the judge of uniqueness."""

from sqlalchemy.exc import DBAPIError, IntegrityError

from app.errors import Conflict, DomainError, Invalid

CONFLICTS: dict[str, tuple[str, str]] = {
    "ix_identity_providers_one_per_issuer": (
        "issuer_exists",
        "This issuer vouches for an organisation already; remove it there first.",
    ),
    "uq_webhook_subscriptions_organisation_id_url": (
        "webhook_exists",
        "This address is already subscribed.",
    ),
    "ix_recordings_one_live_per_session": (
        "recording_live",
        "This session is being recorded already.",
    ),
    "ix_session_files_superseded_once": (
        "prescription_superseded",
        "Another prescription takes the place of this one already.",
    ),
    "ix_session_files_jitsi": (
        "file_exists",
        "There is a file with this id in the session already.",
    ),
    "ix_links_one_live_per_participant": (
        "link_changed_meanwhile",
        "Somebody else replaced this link at the same moment; read it again.",
    ),
}
CHECKS: dict[str, tuple[str, str, str]] = {
    "ck_sessions_plan_in_order": (
        "plan_not_in_order",
        "planned_end",
        "planned_end must be after planned_start.",
    ),
}


def conflict_of(error: DBAPIError) -> DomainError | None:
    """Return the refusal a violated constraint stands for, or None if it stands for none."""
    if not isinstance(error, IntegrityError):
        return None
    name = getattr(getattr(error.orig, "diag", None), "constraint_name", None) or ""
    if name in CONFLICTS:
        code, detail = CONFLICTS[name]
        return Conflict(detail, code=code)
    if name in CHECKS:
        code, field, detail = CHECKS[name]
        return Invalid(detail, code=code, field=field)
    return None
