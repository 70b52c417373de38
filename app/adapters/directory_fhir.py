"""Patients and practitioners from a FHIR R4 server, and visits told to it as Appointment and
Encounter by conditional update (https://hl7.org/fhir/R4/http.html#cond-update).

fhir.resources is imported when the first such hospital is met: it costs more than a second and
tens of megabytes, which a process without one should not pay.
"""

import re
from collections.abc import Iterable
from typing import Any
from urllib.parse import quote

from app.adapters.directory_http import DirectoryHttp
from app.errors import Invalid
from app.ports import DirectoryEntry, OutsideService, VisitStatus

FHIR_JSON = "application/fhir+json"
# RFC 3986: the namespace of identifiers that are themselves URIs.
URI_SYSTEM = "urn:ietf:rfc:3986"
ACT_CODE = "http://terminology.hl7.org/CodeSystem/v3-ActCode"
RESOURCE = {"patient": "Patient", "provider": "Practitioner"}
# http://hl7.org/fhir/R4/valueset-appointmentstatus.html and valueset-encounter-status.html
APPOINTMENT_STATUS = {
    "scheduled": "booked",
    "arrived": "arrived",
    "in_progress": "arrived",
    "completed": "fulfilled",
    "cancelled": "cancelled",
    "no_show": "noshow",
}
ENCOUNTER_STATUS = {
    "scheduled": "planned",
    "arrived": "arrived",
    "in_progress": "in-progress",
    "completed": "finished",
    "cancelled": "cancelled",
    "no_show": "cancelled",
}
LONGEST_NAME = 80


class FhirDirectory:
    """Implements `ports.Directory`."""

    def __init__(self, http: DirectoryHttp) -> None:
        self._http = http

    def find(self, service: OutsideService, *, kind: str, reference: str) -> DirectoryEntry | None:
        """Search by identifier, with or without its system (`system|value`); see the port."""
        name = RESOURCE[kind]
        path = f"/{name}?identifier={quote(_literal(reference), safe='')}"
        found = self._http.get(service, path, accept=FHIR_JSON)
        people = [] if found is None else _people(found, name)
        if len(people) > 1:
            raise Invalid("The identifier is not unique there.", code="not_unique")
        return _entry(reference, people[0]) if people else None

    def report(self, service: OutsideService, *, kind: str, status: VisitStatus) -> None:
        """Update the Appointment, then its Encounter; see the port."""
        who = quote(f"{URI_SYSTEM}|{_uri(status)}", safe="")
        for resource in (_appointment(status), _encounter(status)):
            path = f"/{resource['resourceType']}?identifier={who}"
            self._http.put(service, path, resource, content_type=FHIR_JSON)


def _literal(reference: str) -> str:
    """Return a reference as FHIR reads it as one value: a comma would ask for either of two people
    (https://hl7.org/fhir/R4/search.html#escaping). The first bar is between system and value."""
    system, bar, value = reference.partition("|")
    parts = (system, value) if bar else (reference,)
    return bar.join(re.sub(r"([\\,$|])", r"\\\1", part) for part in parts)


def _people(content: Any, name: str) -> list[Any]:
    """Return the people in a search's Bundle.

    Raises:
        Invalid: it is none.
    """
    from fhir.resources.R4B.bundle import Bundle
    from fhir.resources.R4B.patient import Patient
    from fhir.resources.R4B.practitioner import Practitioner
    from pydantic import ValidationError

    model = {"Patient": Patient, "Practitioner": Practitioner}[name]
    try:
        entries = Bundle.model_validate(content).entry or []
        resources = [one.resource for one in entries if one.resource is not None]
        # A server may add an OperationOutcome about the search itself.
        return [one for one in resources if isinstance(one, model)]
    except ValidationError:
        raise Invalid("The service's answer is no FHIR Bundle.", code="not_fhir") from None


def _entry(reference: str, person: Any) -> DirectoryEntry:
    name = _name(person.name or [])
    if not name:
        raise Invalid("The service's answer has no name.", code="not_a_person")
    return DirectoryEntry(
        reference=reference,
        display_name=name[:LONGEST_NAME],
        email=_contact(person.telecom or [], "email"),
        phone=_contact(person.telecom or [], "phone"),
        language=_language(person.communication or []),
        is_active=person.active is not False,
    )


def _name(names: Iterable[Any]) -> str:
    """Return the name to call somebody by: the usual one, else the official, else any."""
    order = {"usual": 0, "official": 1}
    for name in sorted(names, key=lambda n: order.get(n.use, 2)):
        text = name.text or " ".join([*(name.given or []), name.family or ""]).strip()
        if text:
            return str(text)
    return ""


def _contact(points: Iterable[Any], system: str) -> str | None:
    """Return an address that is still in use, a mobile before others, then by rank."""
    usable = [p for p in points if p.system == system and p.value and p.use != "old"]
    usable.sort(key=lambda p: (p.use != "mobile", p.rank or 99))
    return str(usable[0].value) if usable else None


def _language(communication: Iterable[Any]) -> str | None:
    """Return the preferred language; a patient's is wrapped once more than a practitioner's."""
    ranked = sorted(communication, key=lambda c: not getattr(c, "preferred", False))
    for one in ranked:
        for coding in getattr(one, "language", one).coding or []:
            if coding.code:
                return str(coding.code).partition("-")[0]
    return None


def _appointment(status: VisitStatus) -> dict[str, Any]:
    from fhir.resources.R4B.appointment import Appointment

    return _valid(
        Appointment,
        {
            "resourceType": "Appointment",
            "identifier": _identifiers(status),
            "status": APPOINTMENT_STATUS[status.status],
            "appointmentType": {"text": status.visit_type},
            "start": status.planned_start,
            "end": status.planned_end,
            "participant": [
                {"actor": _by(status.patient_reference, "Patient"), "status": "accepted"},
                {"actor": _by(status.provider_reference, "Practitioner"), "status": "accepted"},
            ],
        },
    )


def _encounter(status: VisitStatus) -> dict[str, Any]:
    from fhir.resources.R4B.encounter import Encounter

    times = {"start": status.started_at, "end": status.ended_at}
    period = {name: at for name, at in times.items() if at is not None}
    return _valid(
        Encounter,
        {
            "resourceType": "Encounter",
            "identifier": _identifiers(status),
            "status": ENCOUNTER_STATUS[status.status],
            "class": {"system": ACT_CODE, "code": "VR", "display": "virtual"},
            "type": [{"text": status.visit_type}],
            "subject": _by(status.patient_reference, "Patient"),
            "participant": [{"individual": _by(status.provider_reference, "Practitioner")}],
            **({"period": period} if status.started_at else {}),
        },
    )


def _valid(model: Any, content: dict[str, Any]) -> dict[str, Any]:
    """Return a resource as JSON after FHIR's own rules have been applied to it."""
    return dict(model.model_validate(content).model_dump(mode="json", exclude_none=True))


def _identifiers(status: VisitStatus) -> list[dict[str, str]]:
    ours = [{"system": URI_SYSTEM, "value": _uri(status)}]
    theirs = status.appointment_reference
    return [*ours, {"value": theirs}] if theirs else ours


def _uri(status: VisitStatus) -> str:
    return f"urn:uuid:{status.appointment_id}"


def _by(reference: str, kind: str) -> dict[str, Any]:
    """Return a logical reference: the server knows its own ids, we know the hospital's."""
    system, bar, value = reference.partition("|")
    identifier = {"system": system, "value": value} if bar else {"value": reference}
    return {"type": kind, "identifier": identifier}
