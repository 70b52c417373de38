"""The lobby on the real stack: a Jitsi client that is not admitted waits there, alone as far as it
can tell, until somebody who may moderate lets it in: by REST or with Jitsi's own controls."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import pytest

from app.clock import utc_now
from app.localstack import names
from app.participants.models import Waiting
from tests.flow.clinic import Clinic, Guest, until
from tests.flow.xmpp_client import Refused, Stanza, XmppClient, logged_in, room_jid

MUC_USER = "{http://jabber.org/protocol/muc#user}"
ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
DISCO = "http://jabber.org/protocol/disco#info"
WITHIN_S = 10.0


@dataclass(frozen=True, slots=True)
class Visit:
    """A session where people wait to be admitted, and its people."""

    clinic: Clinic
    doctor: Guest
    patient: Guest

    @property
    def room(self) -> str:
        return self.doctor.room

    @property
    def path(self) -> str:
        return f"/sessions/{self.doctor.session['id']}/waiting"

    def another(self, role: str = "relative") -> Guest:
        return self.clinic.guest(role, self.doctor.session)

    def act(self, what: str, guest: Guest, **body: Any) -> None:
        self.clinic.do("POST", f"{self.path}/{guest.id}/{what}", json=body)

    def queue(self) -> list[str]:
        items = self.clinic.do("GET", self.path).json()["items"]
        return [str(item["participant_id"]) for item in items]

    def state_of(self, guest: Guest) -> str:
        with self.clinic.services.database.begin() as db:
            row = db.get(Waiting, UUID(guest.id))
            return row.state if row else ""


@pytest.fixture
def visit(clinic: Clinic) -> Visit:
    doctor = clinic.guest("doctor", clinic.hospital.session(waiting_room=True))
    return Visit(clinic, doctor, clinic.guest("patient", doctor.session))


@contextlib.asynccontextmanager
async def doctor_inside(visit: Visit) -> AsyncIterator[XmppClient]:
    """The doctor in the room and, as Jitsi's client does, in the lobby."""
    async with logged_in(visit.clinic.port, visit.doctor.token) as doctor:
        await doctor.enter(visit.room)
        await join_lobby(doctor, visit.room)
        yield doctor


@contextlib.asynccontextmanager
async def waiting(visit: Visit, guest: Guest) -> AsyncIterator[XmppClient]:
    """Somebody whose client was sent to the lobby and went there."""
    async with logged_in(visit.clinic.port, guest.token) as client:
        await knock(client, visit.room)
        await join_lobby(client, visit.room)
        yield client


async def knock(client: XmppClient, room: str) -> Stanza:
    """Try the room and be sent to the lobby; return the answer."""
    await client.request_conference(room)
    with pytest.raises(Refused) as caught:
        await client.join(room)
    assert (caught.value.condition, caught.value.code) == ("registration-required", "not-admitted")
    return client.seen[-1]


def lobby_jid(room: str, nick: str = "") -> str:
    return f"{room}@{names.LOBBY}" + (f"/{nick}" if nick else "")


async def join_lobby(client: XmppClient, room: str) -> None:
    address, came = lobby_jid(room, client.nick), len(client.seen)
    await client.send_join(address)
    answer = await client.until(lambda s: s.get("from") == address, came)
    error = answer.find("{jabber:client}error")
    if error is not None:
        raise Refused.of(error)


async def invited(client: XmppClient, room: str) -> Stanza:
    """Wait for the invitation to the room."""

    def is_invite(stanza: Stanza) -> bool:
        return (
            stanza.get("from") == room_jid(room) and stanza.find(f".//{MUC_USER}invite") is not None
        )

    return await client.until(is_invite)


async def put_out(client: XmppClient, room: str) -> str:
    """Wait until the client is out of the lobby; return the reason it was given."""
    address = lobby_jid(room, client.nick)
    gone = await client.until(lambda s: s.get("from") == address and s.get("type") == "unavailable")
    reason = gone.find(f".//{MUC_USER}reason")
    return (reason.text or "") if reason is not None else ""


async def settled(client: XmppClient) -> None:
    """Wait until everything the server had to say to this client before now has come."""
    await client.ask("get", names.DOMAIN, '<ping xmlns="urn:xmpp:ping"/>')


def approve(client: XmppClient) -> str:
    user = "http://jabber.org/protocol/muc#user"
    return f'<x xmlns="{user}"><invite to="{client.jid}"/></x>'


async def send_approval(moderator: XmppClient, room: str, waiter: XmppClient, id_: str) -> None:
    to = room_jid(room)
    await moderator.send(f'<message id="{id_}" to="{to}">{approve(waiter)}</message>')


def denial(client: XmppClient) -> str:
    return f'<query xmlns="{ADMIN}"><item nick="{client.nick}" role="none"/></query>'


def seen_from(client: XmppClient, other: XmppClient) -> list[Stanza]:
    """What the other said; an error is the server's answer to what this client sent itself."""
    theirs = [s for s in client.seen if s.get("from", "").endswith(f"/{other.nick}")]
    return [s for s in theirs if s.get("type") != "error"]


def test_a_jitsi_client_learns_where_to_wait(visit: Visit) -> None:
    """In the words of old and new clients, and moderators' clients find the lobby."""

    async def try_it() -> None:
        async with doctor_inside(visit) as doctor:
            async with logged_in(visit.clinic.port, visit.patient.token) as patient:
                refusal = await knock(patient, visit.room)
                told = [e.text for e in refusal.iter() if e.tag.endswith("}lobbyroom")]
                assert told == [lobby_jid(visit.room)] * 2
            host = await doctor.ask("get", names.DOMAIN, f'<query xmlns="{DISCO}"/>')
            kinds = {e.get("type"): e.get("name") for e in host.iter(f"{{{DISCO}}}identity")}
            assert kinds["lobbyrooms"] == names.LOBBY
            room = await doctor.ask("get", room_jid(visit.room), f'<query xmlns="{DISCO}"/>')
            features = {e.get("var") for e in room.iter(f"{{{DISCO}}}feature")}
            assert "muc_membersonly" in features
            fields = {
                e.get("var"): "".join(e.itertext()) for e in room.iter("{jabber:x:data}field")
            }
            assert fields["muc#roominfo_lobbyroom"] == lobby_jid(visit.room)

    asyncio.run(try_it())


def test_rest_lets_a_client_in_at_once_and_it_stays_admitted(visit: Visit) -> None:
    """It gets its invitation, enters, and after a new connection needs no second admission."""

    async def try_it() -> None:
        async with doctor_inside(visit) as doctor:
            async with waiting(visit, visit.patient) as patient:
                assert visit.queue() == [visit.patient.id]
                # The doctor sees who waits, with the address to let in.
                await doctor.until(lambda s: s.get("from") == lobby_jid(visit.room, patient.nick))
                began = asyncio.get_running_loop().time()
                await asyncio.to_thread(visit.act, "admit", visit.patient)
                await invited(patient, visit.room)
                # Not only with the next round of questions, which may be ten seconds away.
                assert asyncio.get_running_loop().time() - began < 8
                await patient.join(visit.room)
            async with logged_in(visit.clinic.port, visit.patient.token) as again:
                await again.enter(visit.room)

    asyncio.run(try_it())
    assert visit.queue() == []


def test_a_moderator_lets_in_with_jitsis_own_controls(visit: Visit) -> None:
    """The invitation becomes a decision of the service's, in the moderator's name."""

    async def try_it() -> None:
        async with doctor_inside(visit) as doctor, waiting(visit, visit.patient) as patient:
            await send_approval(doctor, visit.room, patient, "yes")
            await invited(patient, visit.room)
            await patient.join(visit.room)

    asyncio.run(try_it())
    with visit.clinic.services.database.begin() as db:
        row = db.get(Waiting, UUID(visit.patient.id))
        assert row is not None
        assert (row.state, row.decided_by_kind, row.decided_by) == (
            "admitted", "participant", visit.doctor.id,
        )  # fmt: skip


def test_a_moderator_denies_with_jitsis_own_controls(visit: Visit) -> None:
    """A kick in the lobby: out, and out it stays."""

    async def try_it() -> None:
        async with doctor_inside(visit) as doctor, waiting(visit, visit.patient) as patient:
            await doctor.ask("set", lobby_jid(visit.room), denial(patient))
            assert (await put_out(patient, visit.room)).startswith("denied: ")
            with pytest.raises(Refused) as caught:
                await patient.request_conference(visit.room)
            assert caught.value.code == "denied"

    asyncio.run(try_it())
    assert visit.state_of(visit.patient) == "denied"


def test_rest_denies_with_a_message(visit: Visit) -> None:
    """Also somebody who is in the room already."""

    async def try_it() -> None:
        async with doctor_inside(visit):
            async with waiting(visit, visit.patient) as patient:
                await asyncio.to_thread(visit.act, "deny", visit.patient, message="Not today.")
                assert await put_out(patient, visit.room) == "Not today."
            visit.act("admit", visit.patient)
            async with logged_in(visit.clinic.port, visit.patient.token) as patient:
                await patient.enter(visit.room)
                await asyncio.to_thread(visit.act, "deny", visit.patient)
                await patient.until_out(visit.room)

    asyncio.run(try_it())


def test_who_waits_sees_and_reaches_nobody_else_who_waits(visit: Visit) -> None:
    """Neither arrivals, nor what others send, nor those who were there before."""
    other = visit.another()

    async def try_it() -> None:
        async with (
            doctor_inside(visit) as doctor,
            waiting(visit, visit.patient) as one,
            waiting(visit, other) as two,
        ):
            for sender, target in ((one, two), (two, one)):
                to_all, to_one = lobby_jid(visit.room), lobby_jid(visit.room, target.nick)
                hello = "<body>hello</body>"
                await sender.send(
                    f'<message type="groupchat" id="all" to="{to_all}">{hello}</message>'
                )
                await sender.send(f'<message type="chat" id="one" to="{to_one}">{hello}</message>')
                ping = '<ping xmlns="urn:xmpp:ping"/>'
                await sender.send(f'<iq type="get" id="iq" to="{to_one}">{ping}</iq>')
                for name in ("all", "one", "iq"):
                    answer = await sender.until(lambda s, n=name: s.get("id") == n)  # type: ignore[misc]
                    assert answer.get("type") == "error"
            for client in (one, two, doctor):
                await settled(client)
            assert not seen_from(one, two)
            assert not seen_from(two, one)
            assert seen_from(doctor, one)
            assert seen_from(doctor, two)
            # The doctor's own presence is nothing to wonder about, but nobody needs it either.
            assert not [s for s in seen_from(one, doctor) if names.LOBBY in s.get("from", "")]

    asyncio.run(try_it())


Trick = Callable[[Visit, XmppClient, XmppClient], Any]


async def past_the_lobby(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    await patient.join(visit.room)


async def with_a_password(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    address, came = room_jid(visit.room, patient.nick), len(patient.seen)
    muc = "http://jabber.org/protocol/muc"
    await patient.send(
        f'<presence to="{address}"><x xmlns="{muc}"><password>x</password></x></presence>'
    )
    answer = await patient.until(lambda s: s.get("from") == address, came)
    raise_error(answer)


async def make_oneself_a_member(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    item = f'<item jid="{patient.jid.partition("/")[0]}" affiliation="member"/>'
    await patient.ask("set", room_jid(visit.room), f'<query xmlns="{ADMIN}">{item}</query>')


async def let_oneself_in(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    await send_approval(patient, visit.room, patient, "me")
    raise_error(await patient.until(lambda s: s.get("id") == "me"))


async def let_another_in(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    await send_approval(patient, visit.room, other, "them")
    raise_error(await patient.until(lambda s: s.get("id") == "them"))


async def deny_another(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    await patient.ask("set", lobby_jid(visit.room), denial(other))


async def own_the_lobby(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    form = '<x xmlns="jabber:x:data" type="submit"/>'
    await patient.ask("set", lobby_jid(visit.room), f'<query xmlns="{OWNER}">{form}</query>')


async def destroy_the_lobby(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    await patient.ask("set", lobby_jid(visit.room), f'<query xmlns="{OWNER}"><destroy/></query>')


async def anothers_nickname(visit: Visit, patient: XmppClient, other: XmppClient) -> None:
    address, came = lobby_jid(visit.room, other.nick), len(patient.seen)
    await patient.send_join(address)
    raise_error(await patient.until(lambda s: s.get("from") == address, came))


def raise_error(stanza: Stanza) -> None:
    error = stanza.find("{jabber:client}error")
    assert error is not None, "it worked"
    raise Refused.of(error)


TRICKS = [
    (past_the_lobby, "not-admitted"),
    (with_a_password, "not-admitted"),
    (make_oneself_a_member, "not-moderator"),
    (let_oneself_in, "not-moderator"),
    (let_another_in, "not-moderator"),
    (deny_another, "not-moderator"),
    (own_the_lobby, "not-moderator"),
    (destroy_the_lobby, "not-moderator"),
    (anothers_nickname, "nick-change"),
]


@pytest.mark.parametrize(
    ("trick", "code"), TRICKS, ids=lambda value: getattr(value, "__name__", "")
)
def test_no_trick_opens_the_door(visit: Visit, trick: Trick, code: str) -> None:
    """Whatever a waiting client sends, it is told no, and both still wait."""
    other = visit.another()

    async def try_it() -> str:
        async with (
            doctor_inside(visit),
            waiting(visit, visit.patient) as patient,
            waiting(visit, other) as second,
        ):
            with pytest.raises(Refused) as caught:
                await trick(visit, patient, second)
            return caught.value.code

    assert asyncio.run(try_it()) == code
    assert [visit.state_of(guest) for guest in (visit.patient, other)] == ["waiting", "waiting"]


def test_nobody_enters_the_lobby_who_was_not_sent_there(visit: Visit) -> None:
    """Not the patient who did not knock, nor a doctor who is not in the room."""

    async def try_it(guest: Guest) -> None:
        async with logged_in(visit.clinic.port, guest.token) as client:
            with pytest.raises(Refused) as caught:
                await join_lobby(client, visit.room)
            assert caught.value.code == "no-knock"

    for guest in (visit.patient, visit.doctor, visit.clinic.guest("doctor")):
        asyncio.run(try_it(guest))


def test_an_invitation_lets_in_only_whom_it_was_meant_for(visit: Visit) -> None:
    """Another who waits tries the room with it, and is sent back."""
    other = visit.another()

    async def try_it() -> None:
        async with (
            doctor_inside(visit) as doctor,
            waiting(visit, visit.patient) as patient,
            waiting(visit, other) as second,
        ):
            await send_approval(doctor, visit.room, patient, "yes")
            await invited(patient, visit.room)
            await knock(second, visit.room)
            await patient.join(visit.room)

    asyncio.run(try_it())
    assert visit.state_of(other) == "waiting"


def test_admitted_before_the_host_comes_means_waiting_for_the_host(visit: Visit) -> None:
    """Then the invitation comes by itself. Arriving first makes nobody a host."""

    async def try_it() -> None:
        async with waiting(visit, visit.patient) as patient:
            await asyncio.to_thread(visit.act, "admit", visit.patient)
            await settled(patient)
            assert not [s for s in patient.seen if s.find(f".//{MUC_USER}invite") is not None]
            async with doctor_inside(visit):
                await invited(patient, visit.room)
                await patient.join(visit.room)

    asyncio.run(try_it())


def test_who_leaves_the_lobby_is_out_of_the_queue(visit: Visit) -> None:
    """And, admitted meanwhile, may come in when they are back."""

    async def leave() -> None:
        async with waiting(visit, visit.patient):
            assert visit.queue() == [visit.patient.id]

    asyncio.run(leave())
    assert until(lambda: visit.queue() == [], WITHIN_S)
    visit.act("admit", visit.patient)

    async def come_back() -> None:
        async with doctor_inside(visit), logged_in(visit.clinic.port, visit.patient.token) as back:
            await back.enter(visit.room)

    asyncio.run(come_back())


def test_a_session_that_ends_sends_home_who_waits(visit: Visit) -> None:
    """The lobby closes with the room."""

    async def try_it() -> None:
        async with doctor_inside(visit), waiting(visit, visit.patient) as patient:
            end = f"/sessions/{visit.doctor.session['id']}/end"
            await asyncio.to_thread(visit.clinic.do, "POST", end)
            await put_out(patient, visit.room)
            with pytest.raises(Refused) as caught:
                await patient.request_conference(visit.room)
            assert caught.value.code == "session-ended"

    asyncio.run(try_it())


def test_a_removed_person_does_not_wait_either(visit: Visit) -> None:
    """Removal reaches the lobby, too."""

    async def try_it() -> None:
        async with doctor_inside(visit), waiting(visit, visit.patient) as patient:
            await asyncio.to_thread(visit.clinic.remove, visit.patient)
            await put_out(patient, visit.room)

    asyncio.run(try_it())


def test_without_the_service_nobody_slips_in(visit: Visit) -> None:
    """Who waits goes on waiting; who was admitted without it is let in when it is back."""
    stack, began = visit.clinic.stack, utc_now()

    async def try_it() -> None:
        async with doctor_inside(visit) as doctor, waiting(visit, visit.patient) as patient:
            await asyncio.to_thread(stack.part("api").stop)
            try:
                await send_approval(doctor, visit.room, patient, "yes")
                answer = await doctor.until(lambda s: s.get("id") == "yes")
                with pytest.raises(Refused, match="unavailable"):
                    raise_error(answer)
                with pytest.raises(Refused) as caught:
                    await patient.join(visit.room)
                assert caught.value.code in {"unavailable", "not-admitted"}
            finally:
                await asyncio.to_thread(stack.part("api").start)
            await settled(patient)
            assert not [s for s in patient.seen if s.find(f".//{MUC_USER}invite") is not None]
            await asyncio.to_thread(visit.act, "admit", visit.patient)
            await invited(patient, visit.room)

    asyncio.run(try_it())
    assert until(lambda: bool(visit.clinic.refusals(began, code="unavailable")), WITHIN_S)


async def has_focus(visit: Visit) -> bool:
    """Tell whether the focus has found its way back to Prosody."""
    async with logged_in(visit.clinic.port, visit.doctor.token) as client:
        try:
            await client.request_conference(visit.room)
        except Refused:
            return False
    return True


def test_a_restart_of_prosody_keeps_the_queue(visit: Visit) -> None:
    """The clients come again, at the places they had, and nobody is in by it."""
    second = visit.another()

    async def wait_both(first: Guest, last: Guest, then: Callable[[], None]) -> None:
        async with waiting(visit, first), waiting(visit, last):
            await asyncio.to_thread(then)

    def is_in_order() -> None:
        assert until(lambda: visit.queue() == [visit.patient.id, second.id], WITHIN_S)

    asyncio.run(wait_both(visit.patient, second, is_in_order))
    prosody = visit.clinic.stack.part("prosody")
    prosody.stop()
    prosody.start()
    assert until(lambda: asyncio.run(has_focus(visit)), WITHIN_S)
    # The other way round: the place is the service's to remember.
    asyncio.run(wait_both(second, visit.patient, is_in_order))
