"""Legal holds: placed, listed, released, and what they keep."""

from typing import Any
from uuid import uuid4

from tests.api.filing import Filing
from tests.api.hospital import Hospital
from tests.api.records import audit_of, types_of

PDF = b"%PDF-1.4\nA letter.\n%%EOF\n"


def place(hospital: Hospital, session_id: str, **body: Any) -> dict[str, Any]:
    """Place a hold."""
    path = f"/sessions/{session_id}/holds"
    answer = hospital.post(path, json={"reason": "complaint", **body})
    assert answer.status_code == 201, answer.text
    return dict(answer.get_json())


def release(hospital: Hospital, hold: dict[str, Any], reason: str = "closed") -> dict[str, Any]:
    """Release one."""
    answer = hospital.post(f"/holds/{hold['id']}/release", json={"reason": reason})
    assert answer.status_code == 200, answer.text
    return dict(answer.get_json())


def test_a_hold_is_placed_listed_and_released(alice: Hospital) -> None:
    """It is an event and an audit entry each time, and says by whom."""
    session = alice.new_session()["id"]
    hold = place(alice, session, reference="C-17/2026")
    assert hold["placed_by"] == str(alice.client_id)
    assert not hold["allows_playback"]
    assert hold["released_at"] is None
    assert alice.get(f"/sessions/{session}/holds").get_json()["items"] == [hold]
    assert alice.get("/holds?live=true").get_json()["items"] == [hold]
    released = release(alice, hold)
    assert (released["released_by"], released["release_reason"]) == (str(alice.client_id), "closed")
    assert release(alice, hold, "mistake") == released  # once
    assert alice.get("/holds?live=true").get_json()["items"] == []
    assert alice.get("/holds?live=false").get_json()["items"] == [released]
    services = alice.app.extensions["teleconsult"]
    assert types_of(services, session)[-2:] == ["hold.placed", "hold.released"]
    acts = [e.action for e in audit_of(services, alice.organisation_id)]
    assert acts[-2:] == ["hold.placed", "hold.released"]


def test_what_is_held_is_not_deleted_by_a_call(filing: Filing) -> None:
    """Neither by the hospital's program nor by who shared it; after the release it is."""
    doctor = filing.person("doctor")
    file = doctor.share("report", PDF)
    hold = place(filing.hospital, filing.session["id"])
    path = f"{filing.files}/{file['id']}"
    for refused in (filing.hospital.delete(path), doctor.call("DELETE", f"/{file['id']}", json={})):
        assert (refused.status_code, refused.get_json()["code"]) == (409, "legal_hold")
    assert filing.content(file["id"]) == PDF
    another = place(filing.hospital, filing.session["id"], reason="authority")
    release(filing.hospital, hold)
    assert filing.hospital.delete(path).status_code == 409  # the other matter is still open
    release(filing.hospital, another)
    assert filing.hospital.delete(path).status_code == 200


def test_holds_are_for_who_may_and_in_their_hospital(alice: Hospital, charlie: Hospital) -> None:
    """Others find nothing; nobody places one on what is not there."""
    session = alice.new_session()["id"]
    hold = place(alice, session)
    body = {"reason": "complaint"}
    assert charlie.post(f"/sessions/{session}/holds", json=body).status_code == 404
    assert charlie.get(f"/sessions/{session}/holds").status_code == 404
    closed = {"reason": "closed"}
    assert charlie.post(f"/holds/{hold['id']}/release", json=closed).status_code == 404
    assert charlie.get("/holds").get_json()["items"] == []
    assert alice.post(f"/sessions/{uuid4()}/holds", json=body).status_code == 404
    assert alice.post(f"/sessions/{session}/holds", json={"reason": "whim"}).status_code == 422
