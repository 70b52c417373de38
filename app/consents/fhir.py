"""The ledger's answers as FHIR R4 Consent resources.

One resource per answer; only the last word of a person can be active. A question is no consent and
is left out. Written by hand and checked with a FHIR library in the tests, as the audit export is.
"""

from collections.abc import Mapping, Sequence
from datetime import UTC
from typing import Any

from app.consents.models import Consent

HL7 = "http://terminology.hl7.org/CodeSystem"
# Of an answer that is somebody's last word; an older one is inactive whatever it said.
STATUS = {"given": "active", "refused": "rejected", "withdrawn": "inactive"}


def bundle(
    acts: Sequence[Consent], standings: Sequence[Mapping[str, Any]], *, source: str
) -> dict[str, Any]:
    """Return a collection of every answer, in order.

    Args:
        standings: where everybody stands, which says whether a consent still counts.
        source: the address of the service, below which its codes and ids are.
    """
    answers = [act for act in acts if act.act != "asked"]
    states = {(one["participant_id"], one["purpose"]): one["state"] for one in standings}
    last = {(one.participant_id, one.purpose): one.number for one in answers}
    resources = [
        consent(
            one,
            is_last=last[one.participant_id, one.purpose] == one.number,
            state=states.get((one.participant_id, one.purpose), "missing"),
            source=source,
        )
        for one in answers
    ]
    entries = [{"fullUrl": f"urn:uuid:{one['id']}", "resource": one} for one in resources]
    # FHIR has no empty lists.
    more = {"entry": entries} if entries else {}
    return {"resourceType": "Bundle", "type": "collection", **more}


def consent(act: Consent, *, is_last: bool, state: str, source: str) -> dict[str, Any]:
    """Return one answer."""
    at = act.at.astimezone(UTC).isoformat(timespec="milliseconds")
    text = f"{source}/consent-texts/{act.purpose}/{act.language}#sha256={act.text_sha256}"
    who = {"identifier": {"system": f"{source}/participants", "value": str(act.participant_id)}}
    return {
        "resourceType": "Consent",
        "id": str(act.id),
        "identifier": [{"system": f"{source}/sessions", "value": str(act.session_id)}],
        "status": STATUS[act.act] if is_last and act.act == state else "inactive",
        "scope": _concept(f"{HL7}/consentscope", "patient-privacy"),
        "category": [_concept("http://loinc.org", "59284-0")],
        "patient": who,
        "dateTime": at,
        "performer": [who],
        "organization": [
            {"identifier": {"system": f"{source}/organisations", "value": str(act.organisation_id)}}
        ],
        "sourceAttachment": {"contentType": "text/plain", "language": act.language, "url": text},
        "policy": [{"authority": source, "uri": text}],
        "provision": {
            "type": "permit" if act.act == "given" else "deny",
            "period": {"start": at},
            "action": [_concept(f"{HL7}/consentaction", "collect")],
            "code": [_concept(f"{source}/consent-purposes", act.purpose)],
        },
    }


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}
