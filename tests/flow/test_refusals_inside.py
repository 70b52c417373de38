"""What a patient's client may not do once it is in the room, whatever its program sends."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

import pytest

from app.clock import utc_now
from app.localstack import names
from tests.flow.clinic import Clinic, Guest
from tests.flow.xmpp_client import Refused, XmppClient, logged_in, room_jid

ADMIN = "http://jabber.org/protocol/muc#admin"
OWNER = "http://jabber.org/protocol/muc#owner"
CONTROL = "urn:teleconsult:control:1"
PING = '<ping xmlns="urn:xmpp:ping"/>'


@dataclass(frozen=True, slots=True)
class Scene:
    """A doctor and a patient in one room."""

    doctor: XmppClient
    patient: XmppClient
    room: str


@dataclass(frozen=True, slots=True)
class Act:
    """Something a patient's client sends, and the condition it is refused with."""

    name: str
    code: str
    child: Callable[[Scene], str]
    condition: str = "forbidden"
    kind: str = "set"
    to: str = ""


def item(attributes: Callable[[Scene], str]) -> Callable[[Scene], str]:
    """A moderator's wish about one person."""
    return lambda scene: f'<query xmlns="{ADMIN}"><item {attributes(scene)}/></query>'


def owner(content: str) -> Callable[[Scene], str]:
    """An owner's wish about the room."""
    return lambda _: f'<query xmlns="{OWNER}">{content}</query>'


def command(name: str, arguments: str) -> Callable[[Scene], str]:
    """What only the gateway may say."""
    return lambda scene: (
        f'<command xmlns="{CONTROL}" name="{name}">{arguments % {"room": scene.room}}</command>'
    )


def bare(client: XmppClient) -> str:
    return client.jid.partition("/")[0]


FORM = '<x xmlns="jabber:x:data" type="submit"/>'
ACTS = [
    Act("kick the doctor", "not-moderator", item(lambda s: f'nick="{s.doctor.nick}" role="none"')),
    Act("silence the doctor", "not-moderator",
        item(lambda s: f'nick="{s.doctor.nick}" role="visitor"')),
    Act("ban the doctor", "not-moderator",
        item(lambda s: f'jid="{bare(s.doctor)}" affiliation="outcast"')),
    Act("demote the doctor", "not-moderator",
        item(lambda s: f'jid="{bare(s.doctor)}" affiliation="none"')),
    # Prosody puts the holder of a reserved nickname out before it asks who wants it reserved.
    Act("reserve the doctor's nickname", "not-moderator",
        item(lambda s: f'jid="{bare(s.patient)}" nick="{s.doctor.nick}" affiliation="member"')),
    Act("become owner", "not-moderator",
        item(lambda s: f'jid="{bare(s.patient)}" affiliation="owner"')),
    Act("become moderator", "not-moderator",
        item(lambda s: f'nick="{s.patient.nick}" role="moderator"')),
    Act("list the owners", "not-moderator", item(lambda _: 'affiliation="owner"'), kind="get"),
    Act("destroy the room", "end-not-allowed", owner("<destroy/>")),
    Act("read the room's settings", "not-moderator", owner(""), kind="get"),
    Act("change the room's settings", "not-moderator", owner(FORM)),
    Act("kick as the gateway", "not-gateway", command("kick", '{"room":"%(room)s"}'), to=names.MUC),
    Act("end as the gateway", "not-gateway", command("end", '{"room":"%(room)s"}'), to=names.MUC),
    Act("look around as the gateway", "not-gateway", command("rooms", "{}"), to=names.MUC),
]  # fmt: skip


@asynccontextmanager
async def scene_of(clinic: Clinic, doctor: Guest, patient: Guest) -> AsyncIterator[Scene]:
    async with (
        logged_in(clinic.port, doctor.token) as first,
        logged_in(clinic.port, patient.token) as second,
    ):
        await first.enter(doctor.room)
        await second.enter(patient.room)
        yield Scene(first, second, doctor.room)


@pytest.fixture
def people(clinic: Clinic) -> tuple[Guest, Guest]:
    """A doctor and a patient who are invited to one session."""
    doctor = clinic.guest("doctor")
    return doctor, clinic.guest("patient", doctor.session)


async def both_are_still_in(scene: Scene) -> None:
    """Each reaches the other through the room."""
    for one, other in ((scene.doctor, scene.patient), (scene.patient, scene.doctor)):
        one.seen.clear()
        iq = f'<iq type="get" id="there" to="{room_jid(scene.room, other.nick)}">{PING}</iq>'
        await one.send(iq)
        await other.until(lambda stanza: stanza.find("{urn:xmpp:ping}ping") is not None)


@pytest.mark.parametrize("act", ACTS, ids=lambda act: act.name)
def test_a_patients_client_may_not(clinic: Clinic, people: tuple[Guest, Guest], act: Act) -> None:
    """It is told so, both stay in the room as they were, and it is on record."""
    doctor, patient = people
    began = utc_now()

    async def try_it() -> Refused:
        async with scene_of(clinic, doctor, patient) as scene:
            with pytest.raises(Refused) as caught:
                await scene.patient.ask(act.kind, act.to or room_jid(scene.room), act.child(scene))
            await both_are_still_in(scene)
            return caught.value

    refused = asyncio.run(try_it())
    assert (refused.condition, refused.code) == (act.condition, act.code)
    assert str(clinic.audited(began, code=act.code).participant_id) == patient.id


@pytest.mark.parametrize("act", ACTS[:5], ids=lambda act: act.name)
def test_nor_may_somebody_who_is_not_in_the_room(
    clinic: Clinic, people: tuple[Guest, Guest], act: Act
) -> None:
    """Logged in for a room of their own, as a doctor even."""
    doctor, patient = people
    stranger, began = clinic.guest("doctor"), utc_now()

    async def try_it() -> None:
        async with (
            scene_of(clinic, doctor, patient) as scene,
            logged_in(clinic.port, stranger.token) as outside,
        ):
            with pytest.raises(Refused) as caught:
                await outside.ask(act.kind, room_jid(scene.room), act.child(scene))
            assert (caught.value.condition, caught.value.code) == (act.condition, act.code)
            await both_are_still_in(scene)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code=act.code).participant_id) == stranger.id


def test_a_nickname_cannot_be_changed(clinic: Clinic, people: tuple[Guest, Guest]) -> None:
    """It stands for the person: in attendance, and in the others' clients."""
    doctor, patient = people
    began = utc_now()

    async def try_it() -> None:
        async with scene_of(clinic, doctor, patient) as scene:
            with pytest.raises(Refused) as caught:
                await scene.patient.join(scene.room, "doctor")
            assert (caught.value.condition, caught.value.code) == ("not-allowed", "nick-change")
            await both_are_still_in(scene)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="nick-change").participant_id) == patient.id


def test_who_is_not_in_the_room_cannot_speak_in_it(
    clinic: Clinic, people: tuple[Guest, Guest]
) -> None:
    """Neither to all nor to one, also with a token for this very room."""
    doctor, patient = people
    late = clinic.guest("relative", doctor.session)

    async def try_it() -> None:
        async with (
            scene_of(clinic, doctor, patient) as scene,
            logged_in(clinic.port, late.token) as outside,
        ):
            for kind, nick in (("groupchat", ""), ("chat", scene.doctor.nick)):
                to = room_jid(scene.room, nick)
                await outside.send(
                    f'<message type="{kind}" to="{to}" id="{kind}"><body>hello</body></message>'
                )
                answer = await outside.until(lambda s, id_=kind: s.get("id") == id_)  # type: ignore[misc]
                assert answer.get("type") == "error"
            await both_are_still_in(scene)
            spoken = [stanza.find("{jabber:client}body") for stanza in scene.doctor.seen]
            assert not any(body is not None for body in spoken)

    asyncio.run(try_it())


def test_the_doctor_may(clinic: Clinic, people: tuple[Guest, Guest]) -> None:
    """Otherwise the refusals above would show nothing: a moderator's kick is heard by the room."""
    doctor, patient = people

    async def try_it() -> None:
        async with scene_of(clinic, doctor, patient) as scene:
            kick = f'<query xmlns="{ADMIN}"><item nick="{scene.patient.nick}" role="none"/></query>'
            await scene.doctor.ask("set", room_jid(scene.room), kick)
            await scene.patient.until_out(scene.room)

    asyncio.run(try_it())
