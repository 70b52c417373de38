"""Nothing is done through the API without an entry, and nothing is refused without one.

Generated from the API document and the map of routes: a new route that writes and leaves no entry
fails here without anybody having thought of it.
"""

import re
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest
from flask import Flask
from hypothesis import HealthCheck, Phase, given, settings
from schemathesis.generation import GenerationMode

from app.adapters.memory import MemoryRooms
from app.clock import utc_now
from app.consents.texts import RECORDING, ours
from app.factory import create_app
from app.ports import Scanner
from app.services import Services
from app.sessions.schemas import MAX_CAPACITY
from app.web.auth import issue_token
from app.web.cookies import STAFF
from app.webhooks import deliveries
from tests.api import samples
from tests.api import test_schema as document
from tests.api.clinic import make_appointment, with_directory
from tests.api.filing import Filing, Person
from tests.api.hospital import Hospital, admit_hospital
from tests.api.in_call import InCall, enter, listed
from tests.api.left import put
from tests.api.prosody import ADMISSION, EVENTS, Prosody, invite, prosody_of
from tests.api.recorder import Recorder
from tests.api.records import audit_of, code_of, events_of
from tests.api.signed_in import sign_staff_in
from tests.api.watching import finish

TEXT = ours(RECORDING, "en")
VIEWER = {"viewer_reference": "insurer-4", "viewer_name": "Jo Reader"}
WRITING = {"post", "put", "patch", "delete"}
PATHS: dict[str, dict[str, Any]] = document.DOCUMENT["paths"]
WRITES = sorted(
    f"{method.upper()} {path}"
    for path, item in PATHS.items()
    for method in WRITING.intersection(item)
)
GUARDED = sorted(
    f"{method.upper()} {path}"
    for path, item in PATHS.items()
    for method in document.METHODS.intersection(item)
    if item[method].get("security") and path != "/staff/me"  # every caller may ask who it is
)
few = settings(
    max_examples=4,
    deadline=None,
    derandomize=True,
    phases=[Phase.generate],
    suppress_health_check=list(HealthCheck),
)


@pytest.fixture(autouse=True, scope="module")
def serve(services: Services) -> None:
    """Have the generated requests answered by an application of this run."""
    largest = replace(services.settings, max_room_size=MAX_CAPACITY)
    document.served.app = create_app(replace(services, settings=largest))


def entries(services: Services, organisation_id: UUID | None, outcome: str) -> set[UUID]:
    """Return the ids of an organisation's entries with this outcome."""
    found = audit_of(services, organisation_id)
    return {entry.id for entry in found if entry.outcome == outcome}


def planned(hospital: Hospital, _services: Services) -> dict[str, str]:
    """Of an open session, starting and cancelling change nothing or are refused."""
    later = (utc_now() + timedelta(hours=1)).isoformat()
    return {"session_id": hospital.new_session(planned_start=later)["id"]}


def emergency(hospital: Hospital, _services: Services) -> dict[str, str]:
    """Only an emergency is entered uninvited."""
    return {"session_id": hospital.new_session(kind="emergency")["id"]}


def entered(hospital: Hospital, services: Services) -> dict[str, str]:
    """Who reviews must be another program than that which entered."""
    token = issue_token(
        client_id=uuid4(),
        organisation_id=hospital.organisation_id,
        scopes=["emergency:enter"],
        secret=services.settings.api_token_secret[0],
        ttl_s=900,
        now=utc_now(),
    )
    path = f"/sessions/{emergency(hospital, services)['session_id']}/emergency-entries"
    body = {"reason": "Siren.", "display_name": "Medic 7"}
    answer = replace(hospital, token=token).post(path, json=body)
    return {"entry_id": answer.get_json()["entry"]["id"]}


def doctors_link(hospital: Hospital, _services: Services) -> dict[str, str]:
    """Anybody else would wait."""
    doctor = hospital.invite(hospital.new_session()["id"], "doctor")
    return {"code": code_of(doctor)}


def call_going_on(hospital: Hospital, services: Services) -> dict[str, str]:
    """A doctor, whose link it is, and a patient are in the room."""
    prosody = prosody_of(hospital.app, services)
    session = hospital.new_session()
    doctor = hospital.invite(session["id"], "doctor")
    patient = invite(services, hospital, session)
    assert prosody.tell(patient.joined()) == 1
    assert isinstance(services.rooms, MemoryRooms)
    services.rooms.enter(session["room_name"], patient.id)
    return {
        "session_id": session["id"],
        "participant_id": patient.id,
        "code": code_of(doctor),
    }


def queue(hospital: Hospital, _services: Services) -> dict[str, str]:
    """A patient waits to be let in, and a doctor may do it."""
    session = hospital.new_session(waiting_room=True)
    doctor = hospital.invite(session["id"], "doctor")
    patient = hospital.invite(session["id"])
    waits = hospital.app.test_client().post(f"/j/{code_of(patient)}/token").get_json()
    assert waits["state"] == "waiting"
    return {
        "session_id": session["id"],
        "participant_id": patient["id"],
        "code": code_of(doctor),
    }


def reachable(hospital: Hospital, _services: Services) -> dict[str, str]:
    """Somebody who has an e-mail address."""
    session = hospital.new_session()["id"]
    person = hospital.invite(session, email="ada@example.org")["id"]
    return {"session_id": session, "participant_id": person}


def visit(hospital: Hospital, _services: Services) -> dict[str, str]:
    """One that is under way."""
    made = make_appointment(with_directory(hospital), 5)
    assert hospital.post(f"/visits/{made['id']}/start").status_code == 200
    return {"appointment_id": made["id"]}


def paused(hospital: Hospital, _services: Services) -> dict[str, str]:
    """A subscription that waits to be resumed."""
    url = {"url": f"https://hospital.example/{uuid4()}"}
    hook = hospital.post("/webhooks", json=url).get_json()["id"]
    assert hospital.post(f"/webhooks/{hook}/pause").status_code == 200
    return {"webhook_id": hook}


def delivered(hospital: Hospital, services: Services) -> dict[str, str]:
    """A delivery to a subscription."""
    url = {"url": f"https://hospital.example/{uuid4()}"}
    hook = hospital.post("/webhooks", json=url).get_json()["id"]
    told = events_of(services, hospital.new_session()["id"])
    with services.database.begin() as db:
        deliveries.make(db, told, now=utc_now())
    row = hospital.get(f"/webhooks/{hook}/deliveries").get_json()["items"][0]
    return {"webhook_id": hook, "delivery_id": row["id"]}


def recorded(hospital: Hospital, services: Services) -> dict[str, str]:
    """Somebody is inside who has not been asked, and a recording waits for their word."""
    place = call_going_on(hospital, services)
    path = f"/sessions/{place['session_id']}/recordings"
    made = hospital.post(path, json={"ask_first": True}).get_json()
    return {**place, "recording_id": made["id"]}


def withheld(hospital: Hospital, services: Services) -> dict[str, str]:
    """A file of a recording that somebody has to decide about."""
    place = recorded(hospital, services)
    file = put(services, place["recording_id"], state="withheld")
    return {"recording_id": place["recording_id"], "recording_file_id": str(file.id)}


def watchable(hospital: Hospital, services: Services) -> dict[str, str]:
    """A recording that is over and can be watched, and a link to it."""
    place = recorded(hospital, services)
    recording = place["recording_id"]
    finish(services, recording)
    made = hospital.post(f"/recordings/{recording}/playback-links", json=VIEWER).get_json()
    code = made["url"].rsplit("/", 1)[-1]
    return {**place, "link_id": made["id"], "code": code}


def held(hospital: Hospital, _services: Services) -> dict[str, str]:
    """A session that somebody holds."""
    session = hospital.new_session()["id"]
    made = hospital.post(f"/sessions/{session}/holds", json={"reason": "incident"})
    return {"hold_id": made.get_json()["id"]}


def shared_file(hospital: Hospital, services: Services) -> dict[str, str]:
    """A report that can be opened and deleted, by its doctor's page too."""
    session = hospital.new_session()
    doctor = hospital.invite(session["id"], "doctor")
    filing = Filing(services, hospital.app, hospital, session, Path())
    person = Person(filing, doctor)
    announced = person.announce("report", samples.pdf()).get_json()
    assert filing.send(announced, samples.pdf()).status_code == 204
    filing.check(announced["id"], scanner=Unsuspecting())
    return {
        "session_id": session["id"],
        "participant_id": doctor["id"],
        "code": code_of(doctor),
        "file_id": announced["id"],
    }


class Unsuspecting(Scanner):
    """Finds nothing: what is proved here is that there are entries."""

    def scan(self, content: Iterable[bytes]) -> str:
        """Look at nothing."""
        return ""

    def ping(self) -> None:
        """Be there."""


# What stands in the path, where something that merely exists is not enough for success.
PLACES: dict[str, Callable[[Hospital, Services], dict[str, str]]] = {
    "POST /sessions/{session_id}/start": planned,
    "POST /sessions/{session_id}/cancel": planned,
    "POST /sessions/{session_id}/emergency-entries": emergency,
    "POST /emergency-entries/{entry_id}/review": entered,
    "POST /j/{code}/token": doctors_link,
    "POST /sessions/{session_id}/mute": call_going_on,
    "POST /sessions/{session_id}/notifications": reachable,
    "POST /sessions/{session_id}/waiting/{participant_id}/admit": queue,
    "POST /sessions/{session_id}/waiting/{participant_id}/deny": queue,
    "POST /sessions/{session_id}/waiting/admit-next": queue,
    "POST /j/{code}/waiting/{participant_id}/admit": queue,
    "POST /j/{code}/waiting/{participant_id}/deny": queue,
    "POST /j/{code}/waiting/admit-next": queue,
    "POST /sessions/{session_id}/recordings": call_going_on,
    "POST /recordings/{recording_id}/stop": recorded,
    "POST /recordings/{recording_id}/files/{recording_file_id}/release": withheld,
    "DELETE /recordings/{recording_id}": watchable,
    "POST /recordings/{recording_id}/playback-links": watchable,
    "DELETE /recordings/{recording_id}/playback-links/{link_id}": watchable,
    "POST /p/{code}/views": watchable,
    "POST /holds/{hold_id}/release": held,
    "POST /sessions/{session_id}/consents": call_going_on,
    "POST /j/{code}/consents": doctors_link,
    "POST /j/{code}/controls/stop-recording": recorded,
    "POST /visits/{appointment_id}/end": visit,
    "POST /sessions/{session_id}/files/{file_id}/links": shared_file,
    "DELETE /sessions/{session_id}/files/{file_id}": shared_file,
    "POST /j/{code}/files": doctors_link,
    "POST /j/{code}/files/{file_id}/link": shared_file,
    "DELETE /j/{code}/files/{file_id}": shared_file,
    "POST /webhooks/{webhook_id}/resume": paused,
    "POST /webhooks/{webhook_id}/deliveries/{delivery_id}/redeliver": delivered,
    **{
        f"POST /j/{{code}}/controls/{what}": call_going_on
        for what in (
            "mute",
            "mute-all",
            "unmute-request",
            "remove",
            "moderator",
            "av-moderation",
            "message",
            "end",
            "record",
        )
    },
}


def named_in(operation: str) -> set[str]:
    """Return what the body of an operation must name."""
    method, path = operation.split()
    schema = PATHS[path][method.lower()].get("requestBody", {}).get("content", {})
    shape = schema.get("application/json", {}).get("schema", {})
    if "$ref" in shape:
        shape = document.DOCUMENT["components"]["schemas"][shape["$ref"].rsplit("/", 1)[1]]
    return set(shape.get("required", ()))


def prepare(case: Any, operation: str, hospital: Hospital, services: Services) -> None:
    """Let the request be about something that exists, and be no repetition of another."""
    document.existing.cache_clear()
    document.bring_to_life(case, hospital)
    if case.headers:
        case.headers.pop("Idempotency-Key", None)
    if operation in PLACES:
        place = PLACES[operation](hospital, services)
        case.path_parameters.update(place)
        if isinstance(case.body, dict) and "participant_id" in {*case.body, *named_in(operation)}:
            case.body["participant_id"] = place["participant_id"]
    if operation.endswith("/consents"):
        case.body |= {"act": "given", "text_sha256": TEXT.sha256}
    if operation.endswith(("/recordings", "/record")):
        case.body = {"ask_first": True}
    if operation.endswith("/playback-links"):
        case.body = VIEWER
    if "/files/" in operation and "/link" in operation:  # of a report there is no preview
        case.body = {}
    if operation.endswith("/av-moderation"):  # off is what it is
        case.body = {**case.body, "audio": True, "audio_allowed": [], "video_allowed": []}
    if operation == "POST /oauth/token":
        case.body = {
            "grant_type": "client_credentials",
            "client_id": str(hospital.client_id),
            "client_secret": hospital.client_secret,
        }


@pytest.mark.parametrize("operation", WRITES)
def test_every_write_leaves_an_entry(services: Services, alice: Hospital, operation: str) -> None:
    """Each request that was answered with success, whatever was in it."""
    method, path = operation.split()
    strategy = document.api()[path][method].as_strategy(generation_mode=GenerationMode.POSITIVE)
    done = []

    @few
    @given(case=strategy)
    def check(case: Any) -> None:
        prepare(case, operation, alice, services)
        before = entries(services, alice.organisation_id, "done")
        answer = case.call(headers={"Authorization": f"Bearer {alice.token}"})
        if answer.status_code < 300:
            done.append(operation)
            assert entries(services, alice.organisation_id, "done") - before, answer.text

    check()
    assert done, "no generated request succeeded, so nothing was proved"


@pytest.mark.parametrize("operation", GUARDED)
def test_every_refusal_leaves_an_entry(app: Flask, services: Services, operation: str) -> None:
    """A program without the scope is turned away, and that is on record."""
    method, path = operation.split()
    nobody = admit_hospital(app, services, "Nobody", scopes=[])
    path = re.sub(r"\{[^}]+\}", str(nobody.client_id), path)
    before = entries(services, nobody.organisation_id, "refused")
    answer = nobody.call(method, path)
    assert answer.status_code == 403, answer.text
    assert len(entries(services, nobody.organisation_id, "refused") - before) == 1


Doing = Callable[[Hospital, Services, Prosody], Any]


def join(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Prosody tells of somebody in the room."""
    person = invite(services, hospital, hospital.new_session())
    assert prosody.tell(person.joined()) == 1


def knock(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Prosody asks about somebody who has no business in the room."""
    person = invite(services, hospital, hospital.new_session())
    answer = prosody.ask(**person.question(link_id=str(hospital.client_id)))
    assert answer["allow"] is False


def let_in_by_stranger(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Somebody tries Jitsi's own control who may not."""
    place = queue(hospital, services)
    room = hospital.get(f"/sessions/{place['session_id']}").get_json()["room_name"]
    who = {"actor_id": place["participant_id"], "participant_id": place["participant_id"]}
    body = orjson.dumps({"room": room, "decision": "admitted", **who})
    assert prosody.post("/internal/rooms/waiting", body).get_json()["done"] is False


def record(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """A client asks for a recorder whose person may not."""
    place = call_going_on(hospital, services)
    room = hospital.get(f"/sessions/{place['session_id']}").get_json()["room_name"]
    asked = {"room": room, "actor_id": place["participant_id"], "occupants": [None]}
    answer = prosody.post("/internal/rooms/recording", orjson.dumps(asked)).get_json()
    assert answer["code"] == "recording-not-allowed"


def leave(hospital: Hospital, services: Services, _prosody: Prosody) -> None:
    """Staff signs out."""
    client = hospital.app.test_client()
    client.set_cookie(STAFF, sign_staff_in(services, hospital.organisation_id))
    ours = {"Sec-Fetch-Site": "same-origin", "Origin": services.settings.public_url}
    assert client.post("/staff/sign-out", headers=ours).status_code == 303


def upload(hospital: Hospital, services: Services, _prosody: Prosody) -> None:
    """Somebody sends a file's bytes."""
    shared_file(hospital, services)


def in_room(hospital: Hospital, services: Services, prosody: Prosody) -> InCall:
    """Prosody gives a pass to somebody in a room, and asks what files there are."""
    here = Filing(services, hospital.app, hospital, hospital.new_session(), Path())
    inside = enter(here.person("doctor"), prosody)
    assert listed(here, prosody) == []
    return inside


def share_in_call(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Jitsi's client sends a file."""
    sent = in_room(hospital, services, prosody).send(samples.pdf())
    assert sent.status_code == 200, sent.text


def delete_in_call(hospital: Hospital, services: Services, prosody: Prosody) -> None:
    """Jitsi's client sends a file and deletes it."""
    inside = in_room(hospital, services, prosody)
    sent = inside.send(samples.pdf()).get_json()
    assert inside.call("DELETE", f"/{sent['fileId']}").status_code == 200


def hand_over(hospital: Hospital, services: Services, _prosody: Prosody) -> None:
    """A recorder registers a file and sends it."""
    recording = recorded(hospital, services)["recording_id"]
    recorder = Recorder(services, hospital.app, services.settings.recorder_secret[0])
    metadata = {"participants": [], "recording_id": recording}
    upload = recorder.tell(b"film", str(uuid4()), metadata=metadata)["upload"]
    assert recorder.send(upload, b"film").status_code == 204


# What is no part of the API's document: pages, Prosody, and bytes.
UNDOCUMENTED: dict[str, tuple[Doing, str]] = {
    "PATCH /uploads/<ticket>": (upload, "file.uploaded"),
    "POST /jitsi/documents/sessions/<meeting>/files": (share_in_call, "file.uploaded"),
    "DELETE /jitsi/documents/sessions/<meeting>/files/<uuid:file_id>": (
        delete_in_call,
        "file.deleted",
    ),
    "POST /internal/rooms/files": (in_room, "file.listed"),
    "POST /internal/rooms/file-pass": (in_room, "file.pass_issued"),
    "POST /staff/sign-out": (leave, "staff.signed_out"),
    "POST /internal/rooms/recording": (record, "recording.refused"),
    "POST /internal/recorder/files": (hand_over, "recording.file_registered"),
    "PATCH /internal/recorder/uploads/<ticket>": (hand_over, "recording.file_received"),
    "POST /internal/rooms/waiting": (let_in_by_stranger, "room.act_refused"),
    f"POST {EVENTS}": (join, "participant.joined"),
    f"POST {ADMISSION}": (knock, "room.entry_refused"),
}


def undocumented(app: Flask) -> set[str]:
    """Return the routes that write and are not in the API's document."""
    documented = {path.replace("{", "<").replace("}", ">") for path in PATHS}
    return {
        f"{method} {rule.rule}"
        for rule in app.url_map.iter_rules()
        for method in (rule.methods or set()) & {method.upper() for method in WRITING}
        if rule.rule.replace("uuid:", "").replace("string:", "") not in documented
    }


def test_every_other_route_that_writes_is_known_here(app: Flask) -> None:
    """Who adds one says how it is used, and it is proved below that it leaves an entry."""
    assert undocumented(app) == set(UNDOCUMENTED)


@pytest.mark.parametrize("route", UNDOCUMENTED)
def test_what_pages_and_prosody_do_leaves_an_entry(
    services: Services, alice: Hospital, prosody: Prosody, route: str
) -> None:
    """Joins, and the refusals at the room's door."""
    do, action = UNDOCUMENTED[route]
    began = utc_now()
    do(alice, services, prosody)
    made = [entry for entry in audit_of(services, None) if entry.at >= began]
    made += audit_of(services, alice.organisation_id)
    assert action in {entry.action for entry in made}
