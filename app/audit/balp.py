"""Which profile of IHE's Basic Audit Log Patterns an entry satisfies, if one: version 1.1.4.

Source: https://profiles.ihe.net/ITI/BALP, chapter 3:5.7.3. Those for a successful create, update
and delete over REST fit what a program or a member of staff did through the API. Of the others none
does: a query wants the request as it was sent, of which we keep no words; a token, its id; a
refusal, an operation, a person in a call and an operator have none.
"""

from collections.abc import Collection
from dataclasses import dataclass
from typing import Any
from uuid import UUID

PROFILES = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
# Who comes over the API: a program, or a person whose program we do not know.
CALLERS = ("client", "user")
CREATE, UPDATE, DELETE = "Create", "Update", "Delete"
# What a POST, a PUT or PATCH, and a DELETE of one resource are noted as.
INTERACTIONS = {
    "session.created": CREATE,
    "session.updated": UPDATE,
    "participant.invited": CREATE,
    "participant.updated": UPDATE,
    "participant.removed": DELETE,
    "appointment.created": CREATE,
    "appointment.updated": UPDATE,
    "appointment.rescheduled": UPDATE,
    "webhook.created": CREATE,
    "webhook.changed": UPDATE,
    "webhook.deactivated": DELETE,
    "organisation.updated": UPDATE,
}


@dataclass(frozen=True, slots=True)
class Claim:
    """A profile, the resource it was about, and the hospital's own id of the patient, if it has
    one."""

    interaction: str
    resource: str
    id: UUID
    patient: str | None

    @property
    def profile(self) -> str:
        """The profile's canonical address."""
        return f"{PROFILES}{'Patient' if self.patient else ''}{self.interaction}"


def claim_of(entry: Any, patients: Collection[str | None]) -> Claim | None:
    """Return what an entry may claim.

    Args:
        patients: the hospital's ids of the patients of the entry's session; None for one that it
            gave no id. With one patient who has an id the profile is that of an act on a patient;
            without a patient the plain one. Several, or one we cannot name, fit neither.
    """
    interaction = INTERACTIONS.get(entry.action)
    if interaction is None or entry.outcome != "done" or entry.actor_kind not in CALLERS:
        return None
    resource = entry.action.partition(".")[0]
    id_ = _id(entry, resource)
    known = set(patients)
    if id_ is None or len(known) > 1 or None in known:
        return None
    return Claim(interaction, resource, id_, next(iter(known), None))


def _id(entry: Any, resource: str) -> UUID | None:
    if resource == "session":
        return entry.session_id  # type: ignore[no-any-return]
    if resource == "participant":
        return entry.participant_id  # type: ignore[no-any-return]
    if resource == "organisation":
        return entry.organisation_id  # type: ignore[no-any-return]
    return UUID(entry.detail[f"{resource}_id"])
