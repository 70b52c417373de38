"""After the day: what the service says, against what the script says, entry by entry."""

from collections import Counter
from datetime import datetime
from typing import Any

from app.events.types import EVENT_TYPES
from tests.flow.day_expected import Expected
from tests.flow.day_hospital import DayHospital
from tests.flow.day_play import Player
from tests.flow.day_script import PROTOCOLS
from tests.flow.delivery import first_sequences

# How the FHIR server names the ends; docs/directory.md has the table.
FHIR_ENDS = {
    "completed": ("fulfilled", "finished"),
    "cancelled": ("cancelled", "cancelled"),
    "no_show": ("noshow", "cancelled"),
}
# These are not acts of their own: an entry of another name says the same and more.
SAID_OTHERWISE = {"participant.refused": "room.entry_refused"}
CAME_LATE_WITHIN_S = 600


def feed(hospital: DayHospital) -> list[dict[str, Any]]:
    """Read the whole feed of an organisation, page by page."""
    read: list[dict[str, Any]] = []
    after = ""
    while True:
        query = f"&after={after}" if after else ""
        page = hospital.do("GET", f"/events?limit=100{query}").json()
        read += page["items"]
        after = page["next_after"]
        if not page["has_more"]:
            return read


def audit_entries(hospital: DayHospital, session_id: str) -> list[dict[str, Any]]:
    """Read all entries about a session."""
    read: list[dict[str, Any]] = []
    cursor = ""
    while True:
        page = hospital.do("GET", f"/audit?session_id={session_id}&limit=100{cursor}").json()
        read += page["items"]
        if not page["next_cursor"]:
            return [one for one in read if one["action"] != "audit.read"]
        cursor = f"&cursor={page['next_cursor']}"


def compare_status(player: Player, expected: Expected) -> None:
    """The appointment, and what both of the hospital's services heard last."""
    if player.visit.is_emergency:
        state = player.hospital.client.read({"id": player.session_id})["state"]
        assert state == expected.status
        return
    appointment = player.hospital.do("GET", f"/appointments/{player.made['id']}").json()
    assert appointment["status"] == expected.status
    for whose, service in (
        ("patient", player.hospital.patients), ("doctor", player.hospital.doctors),
    ):  # fmt: skip
        if PROTOCOLS[player.hospital.name] == "rest":
            path = f"/{player.visit.name}-{whose}/visits/{appointment['id']}"
            assert service.latest(path)["status"] == expected.status, (player.visit.name, whose)
        else:
            told = [
                service.latest(f"{name}/{appointment['id']}")["status"]
                for name in ("Appointment", "Encounter")
            ]
            assert tuple(told) == FHIR_ENDS[expected.status], (player.visit.name, whose)


def compare_attendance(player: Player, expected: Expected) -> None:
    """Everybody with every interval: none more, none less."""
    attendance = player.hospital.do("GET", f"/sessions/{player.session_id}/attendance").json()
    assert {one["role"] for one in attendance["people"]} == set(player.visit.people)
    for one in attendance["people"]:
        who, name = one["role"], (player.visit.name, one["role"])
        assert one["outcome"] == expected.outcome(who), name
        assert one["interruptions"] == expected.interruptions(who), name
        stays = [(i["leave_reason"], i["connections"]) for i in one["intervals"]]
        wanted = [(stay.reason, stay.connections) for stay in expected.stays[who]]
        assert stays == wanted, (*name, one)
        _compare_lateness(
            one["late_s"], expected, is_late=bool(expected.is_late and one["intervals"])
        )


def _compare_lateness(late_s: int | None, expected: Expected, *, is_late: bool) -> None:
    if not is_late:
        assert late_s is None
        return
    assert late_s is not None
    assert 0 <= late_s + expected.starts_min * 60 < CAME_LATE_WITHIN_S


def compare_events(player: Player, expected: Expected, read: list[dict[str, Any]]) -> None:
    """What happened, all of it, numbered without gaps; and of each an entry in the audit log."""
    own = [one for one in read if one["data"]["session_id"] == player.session_id]
    roles = player.roles
    happened = Counter(
        (one["type"], roles.get(one["data"].get("participant_id", ""), "")) for one in own
    )
    assert happened == Counter(expected.events), player.visit.name
    assert [one["sequence"] for one in own] == list(range(1, len(own) + 1))
    entries = audit_entries(player.hospital, player.session_id)
    acts = Counter(
        (one["action"], one["participant_id"] or "") for one in entries
        if one["action"] in EVENT_TYPES
    )  # fmt: skip
    people = Counter((one["type"], one["data"].get("participant_id", "")) for one in own)
    assert acts == people, player.visit.name
    clicks = Counter(
        roles[one["participant_id"]] for one in entries
        if one["action"] == "link.opened" and one["outcome"] == "done"
    )  # fmt: skip
    assert clicks == +expected.clicks, player.visit.name
    assert not [one for one in entries if one["outcome"] == "refused"]


def compare_webhooks(hospital: DayHospital, read: list[dict[str, Any]]) -> None:
    """The same events as the feed, each of them once, in their order in every session."""
    got = {one["id"]: one for one in hospital.receiver.accepted()}
    assert hospital.receiver.invalid == 0
    assert len(hospital.receiver.accepted()) == len(got)
    assert {id_: _same(one) for id_, one in got.items()} == {one["id"]: _same(one) for one in read}
    order = first_sequences(hospital.receiver.accepted())
    assert all(numbers == sorted(numbers) for numbers in order.values())


def _same(event: dict[str, Any]) -> dict[str, Any]:
    """Return what feed and webhooks must agree on; one moment can be written in two ways."""
    same = {name: value for name, value in event.items() if name != "position"}
    return {**same, "timestamp": datetime.fromisoformat(event["timestamp"])}


def compare_privacy(hospital: DayHospital, other: DayHospital, players: list[Player]) -> None:
    """The other organisation finds nothing of it, by whatever door."""
    own = {player.session_id for player in players if player.hospital is hospital}
    for session_id in own:
        for path in ("", "/attendance", "/participants", "/waiting"):
            assert other.client.call("GET", f"/sessions/{session_id}{path}").status_code == 404
        assert audit_entries(other, session_id) == []
    assert not own & {one["data"]["session_id"] for one in feed(other)}
    assert not own & {one["data"]["session_id"] for one in other.receiver.accepted()}
