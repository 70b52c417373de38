"""An AuditEvent claims a profile of BALP exactly where it satisfies what that demands."""

from collections.abc import Callable, Collection
from copy import deepcopy
from dataclasses import dataclass
from datetime import timedelta
from types import SimpleNamespace
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from fhir.resources.R4B.auditevent import AuditEvent

from app.audit.balp import CALLERS, INTERACTIONS
from app.audit.fhir import VERBS, audit_event
from app.clock import utc_now
from tests.api.clinic import make_appointment, with_directory
from tests.api.hospital import Hospital

HL7 = "http://terminology.hl7.org/CodeSystem"
DICOM = "http://dicom.nema.org/resources/ontology/DCM"
REST = "http://hl7.org/fhir/restful-interaction"
BALP = "https://profiles.ihe.net/ITI/BALP/StructureDefinition/IHE.BasicAudit."
SOURCE = "https://meet.example"
Code = tuple[str, str]


@dataclass(frozen=True)
class Profile:
    """What a profile for REST demands, from its definition at IHE, version 1.1.4."""

    action: str
    interactions: frozenset[str]
    client: Code
    server: Code


OPENED = (DICOM, "110153"), (DICOM, "110152")
CLOSED = (DICOM, "110150"), (f"{HL7}/provenance-participant-type", "custodian")
PROFILES = {
    "Create": Profile("C", frozenset({"create"}), *OPENED),
    "Update": Profile("U", frozenset({"update", "patch"}), *OPENED),
    "Delete": Profile("D", frozenset({"delete"}), *CLOSED),
}
USERS = {(f"{HL7}/v3-ParticipationType", code) for code in ("AUT", "INF", "CST")}
THING, PERSON = (f"{HL7}/audit-entity-type", "2"), (f"{HL7}/audit-entity-type", "1")
THING_ROLES = {(f"{HL7}/object-role", code) for code in ("3", "4", "20")}
PATIENT_ROLE = (f"{HL7}/object-role", "1")


def code(coding: dict[str, str]) -> Code:
    """Return what a coding says, without its words."""
    return coding["system"], coding["code"]


def faults(event: dict[str, Any]) -> list[str]:
    """Return what of its claimed profile an event does not satisfy."""
    [claimed] = event["meta"]["profile"]
    name = claimed.removeprefix(BALP)
    profile = PROFILES[name.removeprefix("Patient")]
    verbs = [s["code"] for s in event["subtype"] if s["system"] == REST]
    demands = {
        "type": code(event["type"]) == (f"{HL7}/audit-event-type", "rest"),
        "subtype": len([verb for verb in verbs if verb in profile.interactions]) == 1,
        "action": event["action"] == profile.action,
        "outcome": event["outcome"] == "0",
        "recorded": bool(event["recorded"]),
        "agents": len(event["agent"]) >= 2,
    }
    return [name for name, is_met in demands.items() if not is_met] + [
        *_agents(event["agent"], profile),
        *_entities(event["entity"], has_patient=name.startswith("Patient")),
    ]


def _agents(agents: list[dict[str, Any]], profile: Profile) -> list[str]:
    kinds = [code(agent["type"]["coding"][0]) for agent in agents]
    found = []
    for slot, kind in (("client", profile.client), ("server", profile.server)):
        mine = [a for a, k in zip(agents, kinds, strict=True) if k == kind]
        if len(mine) != 1 or not {"who", "network"} <= mine[0].keys() or "media" in mine[0]:
            found.append(slot)
    users = [a for a, k in zip(agents, kinds, strict=True) if k in USERS]
    right = all(
        u["requestor"] and "who" in u and not {"network", "media"} & u.keys() for u in users
    )
    return found if len(users) <= 1 and right else [*found, "user"]


def _entities(entities: list[dict[str, Any]], *, has_patient: bool) -> list[str]:
    things = [e for e in entities if code(e["type"]) == THING]
    found = []
    if len(things) != 1 or code(things[0]["role"]) not in THING_ROLES or "what" not in things[0]:
        found.append("data")
    people = [e for e in entities if code(e["type"]) == PERSON]
    if has_patient and not (
        len(people) == 1
        and code(people[0]["role"]) == PATIENT_ROLE
        and people[0]["what"].get("type") == "Patient"
        and {"reference", "identifier"} & people[0]["what"].keys()
    ):
        found.append("patient")
    return found


def entry(action: str, **changed: Any) -> SimpleNamespace:
    """Return an entry of the log as it is read."""
    values = {
        "id": uuid4(),
        "at": utc_now(),
        "organisation_id": uuid4(),
        "actor_kind": "client",
        "actor_id": str(uuid4()),
        "action": action,
        "outcome": "done",
        "session_id": uuid4(),
        "participant_id": uuid4() if action.startswith("participant") else None,
        "detail": {"appointment_id": str(uuid4()), "webhook_id": str(uuid4())},
    }
    return SimpleNamespace(**{**values, **changed})


def shown(one: SimpleNamespace, patients: Collection[str | None] = ()) -> dict[str, Any]:
    """Return an entry as an event that a FHIR library has accepted."""
    text = orjson.dumps(audit_event(one, source=SOURCE, patients=patients))
    event: dict[str, Any] = orjson.loads(AuditEvent.model_validate_json(text).model_dump_json())
    assert event.keys() == orjson.loads(text).keys()
    return event


@pytest.mark.parametrize("kind", CALLERS)
@pytest.mark.parametrize("action", INTERACTIONS)
def test_what_is_claimed_is_satisfied(action: str, kind: str) -> None:
    """By programs and by staff, with a patient and without."""
    plain, about = (shown(entry(action, actor_kind=kind), known) for known in ((), ("MRN-7",)))
    assert plain["meta"]["profile"] == [BALP + INTERACTIONS[action]]
    assert about["meta"]["profile"] == [f"{BALP}Patient{INTERACTIONS[action]}"]
    assert faults(plain) == faults(about) == []
    [patient] = [e for e in about["entity"] if code(e["type"]) == PERSON]
    assert patient["what"]["identifier"] == {"system": f"{SOURCE}/patients", "value": "MRN-7"}


@pytest.mark.parametrize("kind", CALLERS)
def test_who_asked_is_said_once(kind: str) -> None:
    """A person beside a program nobody knows; and the address of neither."""
    agents = shown(entry("session.created", actor_kind=kind))["agent"]
    [asking] = [agent for agent in agents if agent["requestor"]]
    assert asking["role"][0]["coding"][0]["code"] == kind
    assert [len(agents), agents[0]["network"]["extension"][0]["valueCode"]] == [
        2 + (kind == "user"),
        "masked",
    ]


NOT_CLAIMED: dict[str, tuple[SimpleNamespace, Collection[str | None]]] = {
    "a refusal": (entry("session.created", outcome="refused", detail={"code": "x"}), ()),
    "a patient nobody can name": (entry("session.updated"), (None,)),
    "two patients": (entry("session.updated"), ("MRN-7", "MRN-8")),
    "an operation": (entry("session.ended"), ()),
    "a query": (entry("audit.read"), ()),
    "a sign-in": (entry("client.signed_in"), ()),
    **{
        f"done by {kind}": (entry("participant.removed", actor_kind=kind), ())
        for kind in ("participant", "room", "operator", "service")
    },
}


@pytest.mark.parametrize(("one", "patients"), NOT_CLAIMED.values(), ids=NOT_CLAIMED)
def test_nothing_else_is_claimed(one: SimpleNamespace, patients: Collection[str | None]) -> None:
    """It stays an AuditEvent that a FHIR library accepts."""
    assert "meta" not in shown(one, patients)


BREAKAGES: dict[str, Callable[[dict[str, Any]], object]] = {
    "type": lambda e: e["type"].update(code="110114"),
    "subtype": lambda e: e["subtype"].pop(0),
    "action": lambda e: e.update(action="E"),
    "outcome": lambda e: e.update(outcome="4"),
    "client": lambda e: e["agent"][0].pop("network"),
    "server": lambda e: e["agent"][1].pop("who"),
    "user": lambda e: e["agent"][2].update(requestor=False),
    "data": lambda e: e["entity"].append(deepcopy(e["entity"][0])),
    "patient": lambda e: e["entity"][1]["what"].update(type="Group"),
}


@pytest.mark.parametrize("what", BREAKAGES)
def test_the_table_finds_what_is_wrong(what: str) -> None:
    """Else the tests above would prove nothing."""
    event = shown(entry("participant.invited", actor_kind="user"), ("MRN-7",))
    BREAKAGES[what](event)
    assert what in faults(event)


def test_each_claimed_action_is_of_its_kind() -> None:
    """What the log calls updated is no create."""
    letters = {"Create": "C", "Update": "U", "Delete": "D"}
    for action, interaction in INTERACTIONS.items():
        assert VERBS[action.rpartition(".")[2]] == letters[interaction]


def test_an_export_claims_what_the_api_did(alice: Hospital) -> None:
    """Real acts: on a session without a patient, on patients with and without an id of the
    hospital's, and on an appointment."""
    plain, known, unknown = (alice.new_session()["id"] for _ in range(3))
    alice.invite(plain, "doctor")
    person = alice.invite(known, "patient", reference="MRN-7")
    alice.delete(f"/sessions/{known}/participants/{person['id']}")
    alice.invite(unknown, "patient")
    appointment = make_appointment(with_directory(alice))
    hook = alice.post("/webhooks", json={"url": "https://hospital.example/x"}).get_json()
    alice.delete(f"/webhooks/{hook['id']}")
    now = utc_now()
    span = {
        "since": (now - timedelta(hours=1)).isoformat(),
        "until": (now + timedelta(hours=1)).isoformat(),
    }
    answer = alice.get("/audit/export", query_string={**span, "format": "fhir"})
    events = [orjson.loads(line) for line in answer.data.splitlines()]
    claimed = [event for event in events if "meta" in event]
    assert [faults(event) for event in claimed] == [[]] * len(claimed)

    def of(thing: str) -> list[str]:
        mine = [
            e for e in claimed if f"urn:uuid:{UUID(thing)}" in orjson.dumps(e["entity"]).decode()
        ]
        return [e["meta"]["profile"][0].removeprefix(BALP) for e in mine]

    assert of(plain) == ["Create", "Create"]
    assert of(known) == ["PatientCreate", "PatientCreate", "PatientDelete"]
    assert of(unknown) == []
    assert set(of(appointment["id"])) == {"PatientCreate"}
    assert of(hook["id"]) == ["Create", "Delete"]
