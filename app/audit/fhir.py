"""An audit entry as a FHIR AuditEvent (R4), in the patterns of IHE's Basic Audit Log Patterns.

Agents, entities and codes follow BALP: https://profiles.ihe.net/ITI/BALP. No `meta.profile` claims
one of its profiles: those are of FHIR's own REST operations and want a patient's FHIR id, and ours
are acts around a call that know ids of sessions and seats only.

Written by hand, and checked with a FHIR library in the tests: the library's classes would add to
the memory of each API process what the whole process may have.
"""

from datetime import UTC
from typing import Any
from uuid import UUID

import orjson

HL7 = "http://terminology.hl7.org/CodeSystem"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
INTERACTION = "http://hl7.org/fhir/restful-interaction"
# Code systems of ours, under the address of the service.
ACTIONS = "audit-actions"
ACTORS = "audit-actors"

# The last word of an action: what it does (AuditEvent.action), and FHIR's word for it.
CREATE, READ, UPDATE, DELETE, EXECUTE = "C", "R", "U", "D", "E"
VERBS = {
    "created": CREATE,
    "invited": CREATE,
    "read": READ,
    "exported": READ,
    "updated": UPDATE,
    "changed": UPDATE,
    "replaced": UPDATE,
    "rescheduled": UPDATE,
    "removed": DELETE,
    "deactivated": DELETE,
    "revoked": DELETE,
    "purged": DELETE,
}
INTERACTIONS = {CREATE: "create", READ: "read", UPDATE: "update", DELETE: "delete"}
SIGN_IN = "client.signed_in"


def audit_event(entry: Any, *, source: str) -> dict[str, Any]:
    """Return one entry as a FHIR resource.

    Args:
        entry: a row with the columns of `audit_entries`.
        source: the address of the service that recorded it.
    """
    is_done = entry.outcome == "done"
    return {
        "resourceType": "AuditEvent",
        "id": str(entry.id),
        "type": _type(entry),
        "subtype": _subtypes(entry, source),
        "action": _verb(entry),
        "recorded": entry.at.astimezone(UTC).isoformat(timespec="microseconds"),
        # 4: minor failure, the code for a request that was refused.
        "outcome": "0" if is_done else "4",
        **({} if is_done else {"outcomeDesc": str(entry.detail.get("code", "refused"))}),
        "agent": [_actor(entry, source), _service(source)],
        "source": {
            "site": source,
            "observer": {"display": "Teleconsult"},
            "type": [_coding(f"{HL7}/security-source-type", "4", "Application Server")],
        },
        **_entities(entry),
    }


def _coding(system: str, code: str, display: str | None = None) -> dict[str, str]:
    return {"system": system, "code": code, **({"display": display} if display else {})}


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
    return [_coding(INTERACTION, interaction, interaction), *subtypes]


def _actor(entry: Any, source: str) -> dict[str, Any]:
    """Who asked for it: in BALP's pattern the client is the source of the request."""
    system, name = f"{source}/{ACTORS}", entry.actor_id or entry.actor_kind
    return {
        "type": {"coding": [_coding(DICOM, "110153", "Source Role ID")]},
        "role": [{"coding": [_coding(system, entry.actor_kind)]}],
        "who": {"identifier": {"system": f"{system}/{entry.actor_kind}", "value": name}},
        "requestor": True,
    }


def _service(source: str) -> dict[str, Any]:
    """Who did it: this service, the destination of the request."""
    return {
        "type": {"coding": [_coding(DICOM, "110152", "Destination Role ID")]},
        "who": {"display": "Teleconsult"},
        "requestor": False,
        "network": {"address": source, "type": "5"},  # 5: a URI
    }


def _entities(entry: Any) -> dict[str, list[dict[str, Any]]]:
    entities: list[dict[str, Any]] = []
    if entry.session_id is not None:
        role = _coding(f"{HL7}/object-role", "20", "Job")
        entities.append(_entity(entry.session_id, "Session", "4", "Other", role))
    if entry.participant_id is not None:
        role = _coding(f"{HL7}/object-role", "11", "Security User Entity")
        entities.append(_entity(entry.participant_id, "Participant", "1", "Person", role))
    if entry.detail:
        details = [
            {"type": name, "valueString": _text(entry.detail[name])} for name in entry.detail
        ]
        kind = _coding(f"{HL7}/audit-entity-type", "4", "Other")
        what = {"identifier": {"system": "urn:ietf:rfc:3986", "value": f"urn:uuid:{entry.id}"}}
        entities.append({"what": what, "type": kind, "name": "Detail", "detail": details})
    return {"entity": entities} if entities else {}  # FHIR has no empty lists


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
