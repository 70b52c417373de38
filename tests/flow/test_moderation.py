"""What moderators do in a running call: over the API, heard by the clients; and by their clients,
heard by the API."""

import asyncio
import functools
import json
from typing import Any
from uuid import UUID

import pytest
from sqlalchemy import select

from app.audit.models import AuditEntry
from app.clock import utc_now
from app.events.models import Event
from app.ids import new_id
from app.localstack import names
from app.participants.models import Participant
from app.ports import RoomOrder
from app.rooms.models import RoomCommand
from tests.flow.clinic import AUDITED_WITHIN_S, Clinic, Guest, until
from tests.flow.refused import at_request
from tests.flow.test_room_rights import ADMIN, BODY, Room, can_command, room_of
from tests.flow.xmpp_client import Stanza, XmppClient, logged_in, room_jid

MUTE = "{http://jitsi.org/jitmeet/%s}mute"
JSON = "{http://jitsi.org/jitmeet}json-message"
COMPONENT = names.AV_MODERATION
BACK_WITHIN_S = 20.0


def av_message(stanza: Stanza) -> dict[str, Any]:
    """Return what the component of moderation says in a stanza."""
    text = stanza.findtext(JSON) if stanza.get("from") == COMPONENT else None
    return dict(json.loads(text)) if text else {}


async def hears(client: XmppClient, **wanted: Any) -> dict[str, Any]:
    """Wait until the component has said this to somebody."""
    stanza = await client.until(lambda s: wanted.items() <= av_message(s).items())
    return av_message(stanza)


async def is_muted(client: XmppClient, medium: str) -> Stanza:
    """Wait until the focus has muted somebody."""
    found = await client.until(lambda s: s.find(MUTE % medium) is not None)
    mute = found.find(MUTE % medium)
    assert mute is not None
    assert (found.get("from", "").rpartition("/")[2], mute.text) == (names.FOCUS_NICK, "true")
    return mute


async def hospital_does(clinic: Clinic, method: str, path: str, **body: Any) -> None:
    """Have the hospital do something that the room confirms."""
    answer = await asyncio.to_thread(clinic.hospital.call, method, path, json=body)
    assert answer.status_code == 200, answer.text


def events_of(clinic: Clinic, guest: Guest, type_: str) -> list[dict[str, Any]]:
    """Return what a session's events of one type say."""
    session = UUID(guest.session["id"])
    query = select(Event.data).where(Event.session_id == session, Event.type == type_)
    with clinic.services.database.begin() as db:
        return list(db.scalars(query.order_by(Event.sequence)))


def audited(clinic: Clinic, guest: Guest, action: str) -> list[tuple[str, str]]:
    """Return by whom something was done to somebody, on record."""
    query = select(AuditEntry).where(
        AuditEntry.action == action, AuditEntry.session_id == UUID(guest.session["id"])
    )
    with clinic.services.database.begin() as db:
        return [(str(e.actor_id), str(e.participant_id)) for e in db.scalars(query)]


def person(clinic: Clinic, guest: Guest) -> Participant:
    """Return what is stored of somebody."""
    with clinic.services.database.begin() as db:
        return db.get_one(Participant, UUID(guest.id))


def is_inside(clinic: Clinic, guest: Guest) -> bool:
    """Tell whether the service knows that somebody is in the room."""
    return person(clinic, guest).state == "joined"


# --- over the API


@pytest.mark.parametrize("medium", ["audio", "video", "desktop"])
def test_one_is_muted_and_nobody_else(clinic: Clinic, medium: str) -> None:
    """As the focus does it, because clients obey nobody else."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            patient = room.clients["patient"]
            await hospital_does(clinic, "POST", f"{room.guests['patient'].path}/mute", media=medium)
            mute = await is_muted(patient, medium)
            assert mute.get("jid") == room_jid(room.name, patient.nick)
            await room.has("observer")
            assert not any(s.find(MUTE % medium) is not None for s in room.clients["observer"].seen)

    asyncio.run(try_it())


def test_all_are_muted_but_moderators_and_who_is_spared(clinic: Clinic) -> None:
    """And with moderators, they too."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            path = f"/sessions/{room.guests['doctor'].session['id']}/mute"
            await hospital_does(clinic, "POST", path, spared=[room.guests["observer"].id])
            await is_muted(room.clients["patient"], "audio")
            await room.has("doctor", "nurse", "observer")
            for role in ("doctor", "nurse", "observer"):
                heard = room.clients[role].seen
                assert not any(s.find(MUTE % "audio") is not None for s in heard), role
            await hospital_does(clinic, "POST", path, moderators=True, media="video")
            await is_muted(room.clients["doctor"], "video")

    asyncio.run(try_it())


def test_moderated_devices(clinic: Clinic) -> None:
    """All are told and muted but those allowed; who is asked is allowed from then on, also in
    another connection; and who comes later is told."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            path = f"/sessions/{room.guests['doctor'].session['id']}/av-moderation"
            allowed, asked = room.guests["observer"], room.guests["patient"]
            wanted = {"audio": True, "video": False, "audio_allowed": [allowed.id]}
            await hospital_does(clinic, "PUT", path, **wanted)
            await hears(room.clients["patient"], enabled=True, mediaType="audio")
            await is_muted(room.clients["patient"], "audio")
            await hears(room.clients["observer"], approved=True, mediaType="audio")

            await hospital_does(clinic, "POST", f"{asked.path}/unmute-request")
            await hears(room.clients["patient"], approved=True, mediaType="audio")

            async with logged_in(clinic.port, clinic.token(asked.code)) as again:
                await again.enter(room.name)
                await hears(again, enabled=True, mediaType="audio")
                await hears(again, approved=True, mediaType="audio")
            await hospital_does(clinic, "PUT", path, audio=False, video=False)
            await hears(room.clients["doctor"], enabled=False, mediaType="audio")

    asyncio.run(try_it())


def test_an_order_that_was_overtaken_undoes_nothing(clinic: Clinic) -> None:
    """One that was given again, or waited for its turn, is older than what was said meanwhile."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            asked, session = room.guests["patient"], room.guests["doctor"].session["id"]
            path = f"/sessions/{session}/av-moderation"
            # Told that it was made, the service would say again what is moderated there.
            told = functools.partial(is_inside, clinic, asked)
            assert await asyncio.to_thread(until, told, AUDITED_WITHIN_S)
            await hospital_does(clinic, "PUT", path, audio=True, video=False)
            with clinic.services.database.begin() as db:
                query = select(RoomCommand).where(
                    RoomCommand.session_id == UUID(session), RoomCommand.name == "av_moderation"
                )
                given = db.scalars(query).one()
            await hospital_does(clinic, "POST", f"{asked.path}/unmute-request")
            await hears(room.clients["patient"], approved=True, mediaType="audio")
            again = RoomOrder(new_id(), given.name, given.args)
            await asyncio.to_thread(clinic.services.rooms.execute, again, timeout_s=5)
            async with logged_in(clinic.port, clinic.token(asked.code)) as back:
                await back.enter(room.name)
                await hears(back, approved=True, mediaType="audio")

    asyncio.run(try_it())


def test_a_room_that_is_made_anew_is_moderated_as_before(clinic: Clinic) -> None:
    """Prosody forgets; the service does not."""
    doctor = clinic.guest("doctor")
    path = f"/sessions/{doctor.session['id']}/av-moderation"
    clinic.do("PUT", path, json={"audio": False, "video": True})

    async def try_it() -> None:
        async with logged_in(clinic.port, doctor.token) as client:
            await client.enter(doctor.room)
            await hears(client, enabled=True, mediaType="video")

    asyncio.run(try_it())


def test_who_is_removed_for_a_time_comes_back_after_it(clinic: Clinic) -> None:
    """Out at once and kept out; then the same link opens the door again."""
    patient = clinic.guest("patient")
    clinic.do("DELETE", patient.path, json={"ban_s": 10})
    assert clinic.hospital.call("GET", patient.path).json()["state"] == "removed"

    async def request(is_refused: bool) -> None:
        async with logged_in(clinic.port, patient.token) as client:
            with at_request(is_refused, "removed"):
                await client.request_conference(patient.room)

    asyncio.run(request(is_refused=True))
    assert until(lambda: person(clinic, patient).state == "left", 30)
    asyncio.run(request(is_refused=False))


# --- by a moderator's client


async def doctor_orders(room: Room, item: str) -> None:
    await room.order("doctor", ADMIN, item)


def test_a_kick_by_a_moderators_client_is_a_removal(clinic: Clinic) -> None:
    """The person stays out, the hospital is told, and the record says by whom."""

    async def try_it() -> dict[str, Guest]:
        async with room_of(clinic) as room:
            nick = room.clients["patient"].nick
            await doctor_orders(room, f'<item nick="{nick}" role="none"/>')
            await room.clients["patient"].until_out(room.name)
            async with logged_in(clinic.port, room.guests["patient"].token) as again:
                with pytest.raises(Exception, match=r"^service-unavailable: (banned|removed): "):
                    await again.request_conference(room.name)
            return room.guests

    guests = asyncio.run(try_it())
    patient = guests["patient"]
    assert until(lambda: person(clinic, patient).state == "removed", AUDITED_WITHIN_S)
    assert [e["participant_id"] for e in events_of(clinic, patient, "participant.removed")] == [
        patient.id
    ]
    assert audited(clinic, patient, "participant.removed") == [(guests["doctor"].id, patient.id)]


def test_who_a_client_makes_moderator_stays_it(clinic: Clinic) -> None:
    """Over a new connection; and is none any more when it is taken."""

    async def try_it() -> dict[str, Guest]:
        async with room_of(clinic) as room:
            patient = room.clients["patient"]
            bare = patient.jid.partition("/")[0]
            guest = room.guests["patient"]
            for affiliation, moderates in (("owner", True), ("member", False)):
                item = f'<item jid="{bare}" affiliation="{affiliation}"/>'
                await doctor_orders(room, item)
                assert await asyncio.to_thread(
                    until,
                    lambda want=moderates: person(clinic, guest).permissions == {"moderate": want},  # type: ignore[misc]
                    AUDITED_WITHIN_S,
                )
            return room.guests

    guests = asyncio.run(try_it())
    told = events_of(clinic, guests["patient"], "participant.moderator_changed")
    assert [one["moderator"] for one in told] == [True, False]


def test_what_a_moderators_client_mutes_and_moderates_is_told(clinic: Clinic) -> None:
    """Muting by the focus, moderation by Jitsi's component; and both work."""

    async def try_it() -> dict[str, Guest]:
        async with room_of(clinic) as room:
            doctor, patient = room.clients["doctor"], room.clients["patient"]
            target = room_jid(room.name, patient.nick)
            mute = f'<mute xmlns="http://jitsi.org/jitmeet/audio" jid="{target}">true</mute>'
            await doctor.ask("set", room_jid(room.name, names.FOCUS_NICK), mute)
            await is_muted(patient, "audio")
            for order in ('enable="true"', f'jidToWhitelist="{target}"'):
                av = f'<av_moderation {order} mediaType="video"/>'
                await doctor.send(f'<message to="{COMPONENT}">{av}</message>')
            await hears(patient, enabled=True, mediaType="video")
            await hears(patient, approved=True, mediaType="video")
            return room.guests

    guests = asyncio.run(try_it())
    patient = guests["patient"]
    changes = "room.av_moderation_changed"
    assert until(lambda: len(events_of(clinic, patient, changes)) == 2, AUDITED_WITHIN_S)
    assert [e["media"] for e in events_of(clinic, patient, "participant.muted")] == ["audio"]
    assert audited(clinic, patient, "participant.muted") == [(guests["doctor"].id, patient.id)]
    assert events_of(clinic, patient, changes)[-1]["video_allowed"] == [patient.id]


# --- refused


def test_anybody_may_mute_themselves_by_the_focus(clinic: Clinic) -> None:
    """But nobody else, which the matrix of refusals shows."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            own = room_jid(room.name, room.clients["observer"].nick)
            mute = f'<mute xmlns="http://jitsi.org/jitmeet/audio" jid="{own}">true</mute>'
            await room.clients["observer"].ask("set", room_jid(room.name, names.FOCUS_NICK), mute)

    asyncio.run(try_it())


def test_a_flood_of_attempts_is_counted_and_not_listed(clinic: Clinic) -> None:
    """The first few one by one; of two hundred the record does not get longer."""

    async def try_it() -> Guest:
        async with room_of(clinic) as room:
            for _ in range(200):
                said = await room.say("observer", BODY)
            await room.is_refused("observer", said, "chat-not-allowed")
            return room.guests["observer"]

    began = utc_now()
    observer = asyncio.run(try_it())

    def entries() -> list[AuditEntry]:
        found = clinic.refusals(began, code="chat-not-allowed")
        return [entry for entry in found if str(entry.participant_id) == observer.id]

    assert until(lambda: len(entries()) == 5, AUDITED_WITHIN_S)
    assert {entry.detail["count"] for entry in entries()} == {1}


def test_a_screen_is_not_carried_into_the_room(clinic: Clinic) -> None:
    """Not by the presence somebody enters with either; who may is seen."""
    screen = '<videoType xmlns="http://jitsi.org/jitmeet/video">desktop</videoType>'
    enter = f'<x xmlns="http://jabber.org/protocol/muc"/>{screen}'
    doctor = clinic.guest("doctor")
    patient = clinic.guest("patient", doctor.session)

    async def try_it() -> None:
        async with (
            logged_in(clinic.port, doctor.token) as first,
            logged_in(clinic.port, patient.token) as second,
        ):
            await first.enter(doctor.room)
            await second.request_conference(patient.room)
            address = room_jid(patient.room, second.nick)
            await second.send(f'<presence to="{address}">{enter}</presence>')
            answer = await second.until(lambda s: s.get("type") == "error")
            assert answer.find("{jabber:client}error/{*}forbidden") is not None
            await second.enter(patient.room)
            shown = room_jid(doctor.room, first.nick)
            await first.send(f'<presence to="{shown}">{screen}</presence>')
            await second.until(
                lambda s: s.get("from") == shown and s.find("{*}videoType") is not None
            )

    asyncio.run(try_it())
    assert can_command(clinic)
