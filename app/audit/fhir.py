"""An audit entry as a FHIR AuditEvent (R4), in the patterns of IHE's Basic Audit Log Patterns.

Agents, entities and codes follow BALP also where no profile is claimed (see `balp`). Where an
entry lacks what its profile wants, the event says so by FHIR's own extension: the caller's network
address, which we do not keep, and the program of a person who signed in.

Written by hand, and checked with a FHIR library in the tests: the library's classes would add to
the memory of each API process what the whole process may have.
"""

from collections.abc import Collection
from datetime import UTC
from typing import Any
from uuid import UUID

import orjson

from app.audit.balp import CALLERS, Claim, claim_of

HL7 = "http://terminology.hl7.org/CodeSystem"
ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
# Code systems of ours, under the address of the service.
ACTIONS = "audit-actions"
ACTORS = "audit-actors"
PATIENTS = "patients"

# The last word of an action: what it does (AuditEvent.action), and FHIR's word for it.
CREATE, READ, UPDATE, DELETE, EXECUTE = "C", "R", "U", "D", "E"
VERBS = {
    "created": CREATE,
    "invited": CREATE,
    "read": EXECUTE,  # a search, which FHIR has executed
    "exported": READ,
    "updated": UPDATE,
    "changed": UPDATE,
    "replaced": UPDATE,
    "rescheduled": UPDATE,
    "removed": DELETE,
    "deactivated": DELETE,
    "revoked": DELETE,
    "purged": DELETE,
    "deleted": DELETE,
    "file_deleted": DELETE,
    "expired": DELETE,
    "trimmed": DELETE,
    "forgotten": DELETE,
    "made": CREATE,
    "placed": CREATE,
    "released": UPDATE,
    "delivered": READ,
}
INTERACTIONS = {CREATE: "create", READ: "read", UPDATE: "update", DELETE: "delete"}
SEARCHES = ("audit.read",)
SIGN_IN = "client.signed_in"


def audit_event(
    entry: Any, *, source: str, patients: Collection[str | None] = ()
) -> dict[str, Any]:
    """Return one entry as a FHIR resource.

    Args:
        entry: a row with the columns of `audit_entries`.
        source: the address of the service that recorded it.
        patients: the hospital's ids of the patients of its session; see `balp.claim_of`.
    """
    is_done, claim = entry.outcome == "done", claim_of(entry, patients)
    return {
        "resourceType": "AuditEvent",
        "id": str(entry.id),
        **({"meta": {"profile": [claim.profile]}} if claim else {}),
        "type": _type(entry),
        "subtype": _subtypes(entry, source),
        "action": _verb(entry),
        "recorded": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        # 4: minor failure, the code for a request that was refused.
        "outcome": "0" if is_done else "4",
        **({} if is_done else {"outcomeDesc": str(entry.detail.get("code", "refused"))}),
        "agent": _agents(entry, source),
        "source": {
            "site": source,
            "observer": {"display": "Teleconsult"},
            "type": [_coding(f"{HL7}/security-source-type", "4", "Application Server")],
        },
        **_entities(entry, claim, source),
    }


def _coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    return {"system": system, "code": code, **({"display": display} if display else {})}


SOURCE = _coding(DICOM, "110153", "Source Role ID")
DESTINATION = _coding(DICOM, "110152", "Destination Role ID")
APPLICATION = _coding(DICOM, "110150", "Application")
CUSTODIAN = _coding(f"{HL7}/provenance-participant-type", "custodian", "Custodian")
AUTHOR = _coding(f"{HL7}/v3-ParticipationType", "AUT", "author (originator)")


def _verb(entry: Any) -> str:
    return VERBS.get(entry.action.rpartition(".")[2], EXECUTE)


def _type(entry: Any) -> dict[str, str]:
    if entry.action == SIGN_IN:
        return _coding(DICOM, "110114", "User Authentication")
    return _coding(f"{HL7}/audit-event-type", "rest", "Restful Operation")


def _subtypes(entry: Any, source: str) -> list[dict[str, str]]:
    subtypes = [_coding(f"{source}/{ACTIONS}", entry.action)]
    if entry.action == SIGN_IN:
        return [_coding(DICOM, "110122", "Login"), *subtypes]
    interaction = INTERACTIONS.get(_verb(entry), "operation")
    if entry.action in SEARCHES:
        interaction = "search-type"
    return [_coding(INTERACTION, interaction, interaction), *subtypes]


def _agents(entry: Any, source: str) -> list[dict[str, Any]]:
    """Who asked for it, as the source of the request; and this service, which did it."""
    is_delete = _verb(entry) == DELETE
    client, server = (APPLICATION, CUSTODIAN) if is_delete else (SOURCE, DESTINATION)
    service = {
        "type": {"coding": [server]},
        "who": {"display": "Teleconsult"},
        "requestor": False,
        "network": {"address": source, "type": "5"},  # 5: a URI
    }
    asking = {"type": {"coding": [client]}, **_who(entry, source)}
    if entry.actor_kind not in CALLERS:
        return [asking, service]
    asking["network"] = _absent("masked")
    if entry.actor_kind == "client":
        return [asking, service]
    # The person is an agent beside the program they used.
    program = {**asking, "who": _absent("unknown"), "requestor": False}
    del program["role"]
    return [program, service, {"type": {"coding": [AUTHOR]}, **_who(entry, source)}]


def _who(entry: Any, source: str) -> dict[str, Any]:
    system, name = f"{source}/{ACTORS}", entry.actor_id or entry.actor_kind
    return {
        "role": [{"coding": [_coding(system, entry.actor_kind)]}],
        "who": {"identifier": {"system": f"{system}/{entry.actor_kind}", "value": name}},
        "requestor": True,
    }


def _absent(reason: str) -> dict[str, Any]:
    """Return an element that says why there is nothing in it."""
    return {"extension": [{"url": ABSENT, "valueCode": reason}]}


def _entities(entry: Any, claim: Claim | None, source: str) -> dict[str, list[dict[str, Any]]]:
    entities = [_data(claim)] if claim else []
    if claim and claim.patient:
        entities.append(_patient(claim.patient, source))
    about = claim.id if claim else None
    if entry.session_id not in (None, about):
        role = _coding(f"{HL7}/object-role", "20", "Job")
        entities.append(_entity(entry.session_id, "Session", "4", "Other", role))
    if entry.participant_id not in (None, about):
        role = _coding(f"{HL7}/object-role", "11", "Security User Entity")
        entities.append(_entity(entry.participant_id, "Participant", "1", "Person", role))
    if entry.detail:
        entities.append(_detail(entry))
    return {"entity": entities} if entities else {}  # FHIR has no empty lists


def _data(claim: Claim) -> dict[str, Any]:
    role = _coding(f"{HL7}/object-role", "4", "Domain Resource")
    return _entity(claim.id, claim.resource.capitalize(), "2", "System Object", role)


def _patient(reference: str, source: str) -> dict[str, Any]:
    """The patient, whom the hospital's own id names and no address of a FHIR server."""
    identifier = {"system": f"{source}/{PATIENTS}", "value": reference}
    return {
        "what": {"type": "Patient", "identifier": identifier},
        "type": _coding(f"{HL7}/audit-entity-type", "1", "Person"),
        "role": _coding(f"{HL7}/object-role", "1", "Patient"),
    }


def _detail(entry: Any) -> dict[str, Any]:
    details = [{"type": name, "valueString": _text(entry.detail[name])} for name in entry.detail]
    kind = _coding(f"{HL7}/audit-entity-type", "4", "Other")
    what = {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{entry.id}"}}
    return {"what": what, "type": kind, "name": "Detail", "detail": details}


def _entity(id_: UUID, name: str, code: str, display: str, role: dict[str, str]) -> dict[str, Any]:
    return {
        "what": {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{id_}"}},
        "type": _coding(f"{HL7}/audit-entity-type", code, display),
        "role": role,
        "name": name,
    }


def _text(value: Any) -> str:
    # FHIR has no empty strings.
    return value if isinstance(value, str) and value else orjson.dumps(value).decode()
