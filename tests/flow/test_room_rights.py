"""What the people inside a room may do there: write, end, put out; and who stays out for good."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import UUID
from xml.etree import ElementTree as ET

import pytest
import requests
from sqlalchemy import select

from app.clock import utc_now
from app.errors import Conflict, Unavailable
from app.ids import new_id
from app.localstack import names
from app.participants.models import Attendance
from app.ports import RoomOrder
from app.signing import sign
from tests.api.records import types_of
from tests.flow.clinic import AUDITED_WITHIN_S, Clinic, Guest, until
from tests.flow.refused import at_request
from tests.flow.xmpp_client import Refused, XmppClient, logged_in, room_jid

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
XHTML = "http://jabber.org/protocol/xhtml-im"
PING = '<ping xmlns="urn:xmpp:ping"/>'
JSON_MESSAGE = '<json-message xmlns="http://jitsi.org/jitmeet">{"type":"any"}</json-message>'
BACK_WITHIN_S = 20.0

ROLES = ("doctor", "nurse", "patient", "observer")


@dataclass(frozen=True, slots=True)
class Room:
    """One of each in a room, by role. An observer has no permission, a nurse may not end."""

    guests: dict[str, Guest]
    clients: dict[str, XmppClient]

    @property
    def name(self) -> str:
        """The room's name."""
        return self.guests["doctor"].room

    async def say(self, role: str, content: str, *, to: str = "") -> str:
        """Have somebody send a message to all, or to one; return its id."""
        kind, name = ("chat" if to else "groupchat"), str(new_id())
        address = room_jid(self.name, self.clients[to].nick if to else "")
        message = f'<message type="{kind}" id="{name}" to="{address}">{content}</message>'
        await self.clients[role].send(message)
        return name

    async def hears(self, role: str, name: str) -> None:
        """Wait until somebody has a message."""
        message = await self.clients[role].until(lambda stanza: stanza.get("id") == name)
        assert message.get("type") != "error", ET.tostring(message)

    async def is_refused(self, role: str, name: str, code: str) -> None:
        """Wait until somebody is told that their message was refused."""
        answer = await self.clients[role].until(lambda stanza: stanza.get("id") == name)
        error = answer.find("{jabber:client}error")
        assert error is not None, ET.tostring(answer)
        refused = Refused.of(error)
        assert (error.get("type"), refused.condition, refused.code) == ("auth", "forbidden", code)

    async def order(self, role: str, namespace: str, content: str) -> None:
        """Have somebody order something as XEP-0045 lets moderators and owners."""
        query = f'<query xmlns="{namespace}">{content}</query>'
        await self.clients[role].ask("set", room_jid(self.name), query)

    async def has(self, *roles: str) -> None:
        """Ask the room for each of them whether they are in it (XEP-0410)."""
        for role in roles:
            client = self.clients[role]
            await client.ask("get", room_jid(self.name, client.nick), PING)


@asynccontextmanager
async def room_of(clinic: Clinic) -> AsyncIterator[Room]:
    """Everybody in a room of their own."""
    doctor = clinic.guest("doctor")
    others = {role: clinic.guest(role, doctor.session) for role in ROLES[1:]}
    room = Room({"doctor": doctor, **others}, {})
    async with AsyncExitStack() as inside:
        for role, guest in room.guests.items():
            client = await inside.enter_async_context(logged_in(clinic.port, guest.token))
            room.clients[role] = await client.enter(doctor.room)
        yield room


def command(clinic: Clinic, name: str, **args: Any) -> dict[str, Any]:
    """Give the rooms one order, behind the API's back."""
    return clinic.services.rooms.execute(RoomOrder(new_id(), name, args), timeout_s=2)


# --- writing

BODY = "<body>hello</body>"
CHATS = {
    "body": BODY,
    # Jitsi clients show it all the same.
    "body of another namespace": '<body xmlns="urn:other">hello</body>',
    "XHTML": f'<html xmlns="{XHTML}"><body xmlns="http://www.w3.org/1999/xhtml">hello</body></html>',
}


def test_who_may_not_chat_writes_to_nobody(clinic: Clinic) -> None:
    """Neither to all nor to one; what clients tell each other beside the chat passes."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            for content in CHATS.values():
                for to in ("", "doctor"):
                    said = await room.say("observer", content, to=to)
                    await room.is_refused("observer", said, "chat-not-allowed")
            for to in ("", "doctor"):
                await room.hears("doctor", await room.say("observer", JSON_MESSAGE, to=to))
            bodies = [stanza.find("{jabber:client}body") for stanza in room.clients["doctor"].seen]
            assert not any(body is not None for body in bodies)

    asyncio.run(try_it())


def test_who_may_chat_is_heard(clinic: Clinic) -> None:
    """By all, and by one."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            for to in ("", "doctor"):
                await room.hears("doctor", await room.say("patient", BODY, to=to))

    asyncio.run(try_it())


def test_a_right_taken_during_the_call_is_gone_at_once(clinic: Clinic) -> None:
    """And given back it is there again, without leaving the room."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            patient = room.guests["patient"]
            for may_chat in (False, True):
                permissions = {"chat": may_chat}
                etag = clinic.do("GET", patient.path).headers["ETag"]
                answer = clinic.do(
                    "PATCH",
                    patient.path,
                    json={"permissions": permissions},
                    headers={"If-Match": etag},
                )
                assert answer.status_code == 200, answer.text
                said = await room.say("patient", BODY)
                if may_chat:
                    await room.hears("doctor", said)
                else:
                    await room.is_refused("patient", said, "chat-not-allowed")

    asyncio.run(try_it())


def test_who_is_a_host_no_more_opens_the_room_for_nobody(clinic: Clinic) -> None:
    """Though still inside: Prosody and the page both say so, until the right is given back."""
    doctor = clinic.guest()
    patient = clinic.guest("patient", doctor.session)

    def may_open(*, wanted: bool) -> None:
        etag = clinic.do("GET", doctor.path).headers["ETag"]
        rights = {"permissions": {"enter_without_host": wanted}}
        clinic.do("PATCH", doctor.path, json=rights, headers={"If-Match": etag})

    def reason() -> str:
        answer = requests.post(f"{clinic.hospital.url}/j/{patient.code}/token", timeout=15)
        return str(answer.json().get("reason"))

    async def try_it() -> None:
        async with logged_in(clinic.port, doctor.token) as one:
            await one.enter(doctor.room)
            assert await asyncio.to_thread(until, lambda: reason() == "None", BACK_WITHIN_S)
            may_open(wanted=False)
            async with logged_in(clinic.port, patient.token) as other:
                with pytest.raises(Refused) as refused:
                    await other.enter(patient.room)
                assert refused.value.code == "waiting-for-host"
                assert reason() == "waiting-for-host"
                may_open(wanted=True)
                await other.enter(patient.room)

    asyncio.run(try_it())


def test_the_subject_is_the_moderators(clinic: Clinic) -> None:
    """Also beside a text: then it is no subject to Prosody, but it is to Jitsi's clients."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            subject = "<subject>Mine</subject>"
            for content in (subject, subject + BODY, subject + "<thread>t</thread>"):
                said = await room.say("patient", content)
                await room.is_refused("patient", said, "not-moderator")
            await room.say("nurse", "<subject>Ours</subject>")
            await room.clients["patient"].until(
                lambda stanza: stanza.findtext("{jabber:client}subject") == "Ours"
            )

    asyncio.run(try_it())


# --- ending


@pytest.mark.parametrize("destroy", ["<destroy/>", '<destroy xmlns="urn:other"/>'])
def test_who_moderates_but_may_not_end_destroys_no_room(clinic: Clinic, destroy: str) -> None:
    """A nurse configures the room, is refused its end, and that is on record."""

    async def try_it() -> str:
        async with room_of(clinic) as room:
            await room.order("nurse", OWNER, '<x xmlns="jabber:x:data" type="submit"/>')
            with pytest.raises(Refused) as caught:
                await room.order("nurse", OWNER, destroy)
            assert (caught.value.condition, caught.value.code) == ("forbidden", "end-not-allowed")
            await room.has(*ROLES)
            return room.guests["nurse"].id

    began = utc_now()
    nurse = asyncio.run(try_it())
    assert str(clinic.audited(began, code="end-not-allowed").participant_id) == nurse


def test_nor_by_putting_out_the_focus(clinic: Clinic) -> None:
    """Without it there is no conference; people can still be put out."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            with pytest.raises(Refused) as caught:
                await room.order("nurse", ADMIN, f'<item nick="{names.FOCUS_NICK}" role="none"/>')
            assert caught.value.condition == "not-allowed"
            nick = room.clients["observer"].nick
            await room.order("nurse", ADMIN, f'<item nick="{nick}" role="none"/>')
            await room.clients["observer"].until_out(room.name)
            await room.has("doctor", "nurse", "patient")

    asyncio.run(try_it())


def test_nor_who_was_made_moderator_by_another(clinic: Clinic) -> None:
    """That is between the people; ending is the service's to allow."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            patient = room.clients["patient"].jid.partition("/")[0]
            await room.order("doctor", ADMIN, f'<item jid="{patient}" affiliation="owner"/>')
            with pytest.raises(Refused) as caught:
                await room.order("patient", OWNER, "<destroy/>")
            assert caught.value.code == "end-not-allowed"

    asyncio.run(try_it())


def test_a_doctors_client_may_destroy_the_room(clinic: Clinic) -> None:
    """All are out, and the service hears of it as of any end."""

    async def try_it() -> dict[str, Guest]:
        async with room_of(clinic) as room:
            await room.order("doctor", OWNER, "<destroy/>")
            for client in room.clients.values():
                await client.until_out(room.name)
            return room.guests

    guests = asyncio.run(try_it())
    for guest in guests.values():
        assert until(lambda one=guest: reasons(clinic, one) == ["ended"], AUDITED_WITHIN_S)  # type: ignore[misc]
    session_id = guests["doctor"].session["id"]
    told = types_of(clinic.services, session_id)
    assert "session.ended" in told
    assert "session.interrupted" not in told


def reasons(clinic: Clinic, guest: Guest) -> list[str | None]:
    """Return why a person's stays ended."""
    theirs = select(Attendance.leave_reason).where(Attendance.participant_id == UUID(guest.id))
    with clinic.services.database.begin() as db:
        return list(db.scalars(theirs))


# --- staying out


def test_a_ban_outlives_room_and_server(clinic: Clinic) -> None:
    """Given while there is no room, kept when Prosody is killed, and not asked of the API."""
    banned, kicked = clinic.guest(), clinic.guest()
    began = utc_now()
    for guest, ban in ((banned, True), (kicked, False)):
        answer = command(clinic, "kick", room=guest.room, participant_id=guest.id, ban=ban)
        assert answer == {"present": False, "kicked": 0}
    asyncio.run(request(clinic, banned, is_refused=True))
    asyncio.run(request(clinic, kicked, is_refused=False))

    clinic.stack.prosody.kill()
    clinic.stack.prosody.start()
    assert until(lambda: can_command(clinic), BACK_WITHIN_S)

    asyncio.run(request(clinic, banned, is_refused=True))
    assert until(lambda: bool(clinic.refusals(began, code="banned")), AUDITED_WITHIN_S)
    entries = clinic.refusals(began, code="banned")
    assert {str(entry.participant_id) for entry in entries} == {banned.id}


async def request(clinic: Clinic, guest: Guest, *, is_refused: bool) -> None:
    """Have somebody request their conference."""
    async with logged_in(clinic.port, guest.token) as client:
        with at_request(is_refused, "banned"):
            await client.request_conference(guest.room)


def can_command(clinic: Clinic) -> bool:
    """Tell whether the gateway has found its way back."""
    try:
        command(clinic, "rooms")
    except Unavailable:
        return False
    return True


# --- what the service says


@pytest.mark.parametrize("text", ["a\ufffe", "\uffff", "\x1b[1m"], ids=ascii)
def test_a_text_xml_does_not_allow_breaks_nobodys_stream(clinic: Clinic, text: str) -> None:
    """Refused as a whole, and everybody hears the next one."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            for name, args in (("message", {"text": text}), ("end", {"reason": text})):
                with pytest.raises(Conflict, match="bad-request"):
                    await asyncio.to_thread(command, clinic, name, room=room.name, **args)
            await asyncio.to_thread(command, clinic, "message", room=room.name, text="Fine.")
            for client in room.clients.values():
                await client.until(lambda stanza: stanza.findtext("{jabber:client}body") == "Fine.")

    asyncio.run(try_it())


def test_an_answer_of_ours_is_no_question_to_us(clinic: Clinic) -> None:
    """Both are signed with one key, and told apart by their ids."""
    secret = clinic.services.settings.room_events_secret[0]
    headers = sign(f"{new_id()}.answer", b"{}", secrets=[secret], now=utc_now())
    url = f"{clinic.stack.api_url}/internal/rooms/events"

    answer = requests.post(url, data=b"{}", headers=headers, timeout=10)

    assert (answer.status_code, answer.json()["code"]) == (401, "room_signature_invalid")


# --- names and settings

NICK = "http://jabber.org/protocol/nick"


def test_nobody_goes_by_another_name(clinic: Clinic) -> None:
    """A patient's client may write what it likes: the others are shown the name of the token."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            patient, doctor = room.clients["patient"], room.clients["doctor"]
            address = room_jid(room.name, patient.nick)
            said = f'<nick xmlns="{NICK}">Dr. House</nick><nick>Dr. House</nick><here/>'
            await patient.send(f'<presence to="{address}">{said}</presence>')
            seen = await doctor.until(
                lambda one: (
                    one.get("from") == address and one.find("{jabber:client}here") is not None
                )
            )
            names_shown = [e.text for e in seen.iter() if e.tag.endswith("}nick")]
            assert names_shown
            assert set(names_shown) == {room.guests["patient"].claims["context"]["user"]["name"]}
            message = await room.say("patient", f'{BODY}<nick xmlns="{NICK}">Dr. House</nick>')
            heard = await doctor.until(lambda one: one.get("id") == message)
            assert heard.find(f"{{{NICK}}}nick") is None

    asyncio.run(try_it())


STAYS = '<field var="muc#roomconfig_persistentroom"><value>1</value></field>'
MORE_THAN_OFFERED = {
    "a role alone": (ADMIN, '<item nick="{nick}" role="moderator"/>'),
    "an admin": (ADMIN, '<item jid="{jid}" affiliation="admin"/>'),
    "a room that stays": (
        OWNER,
        '<x xmlns="jabber:x:data" type="submit">{stays}</x>',
    ),
}


@pytest.mark.parametrize("wish", MORE_THAN_OFFERED)
def test_a_moderator_makes_nobody_a_moderator_behind_our_back(clinic: Clinic, wish: str) -> None:
    """The service would not hear of a role without its affiliation, or of an `admin`."""

    async def try_it() -> None:
        async with room_of(clinic) as room:
            namespace, content = MORE_THAN_OFFERED[wish]
            patient = room.clients["patient"]
            bare = patient.jid.partition("/")[0]
            filled = content.format(nick=patient.nick, jid=bare, stays=STAYS)
            with pytest.raises(Refused) as refused:
                await room.order("doctor", namespace, filled)
            assert refused.value.code == "not-offered"

    asyncio.run(try_it())
