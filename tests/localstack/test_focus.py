"""The focus stand-in behaves to a client as Jicofo does (docs/stand-ins.md)."""

import asyncio
from xml.etree import ElementTree as ET

from app.localstack import LocalStack, names
from app.localstack.process import wait_until
from tests.localstack.xmpp import Client

FOCUS = "{http://jitsi.org/protocol/focus}"
AUDIO = "http://jitsi.org/jitmeet/audio"


def room(name: str) -> str:
    return f"{name}@{names.MUC}"


def request(name: str) -> str:
    return (
        f'<conference xmlns="http://jitsi.org/protocol/focus" room="{room(name)}" machine-uid="x"/>'
    )


def condition(answer: ET.Element) -> str:
    """Return the error condition of an answer, or nothing."""
    error = next((child for child in answer if child.tag.endswith("error")), None)
    return error[0].tag.rpartition("}")[2] if error is not None else ""


def is_gone(stanza: ET.Element, address: str) -> bool:
    return stanza.get("from") == address and stanza.get("type") == "unavailable"


async def enter(client: Client, name: str, nick: str) -> ET.Element:
    await client.ask(names.FOCUS, request(name))
    return await client.join(room(name), nick)


def test_a_conference_request_opens_the_room(stack: LocalStack) -> None:
    """The answer says ready and who the focus is; the focus is in the room with that address."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            answer = await alice.ask(names.FOCUS, request("opens"))
            conference = answer.find(f"{FOCUS}conference")
            assert conference is not None
            await alice.join(room("opens"), "alice")
            focus = await alice.until(lambda s: s.get("from") == f"{room('opens')}/focus")

        assert conference.get("ready") == "true"
        assert conference.get("focusjid") == names.FOCUS_USER
        properties = {p.get("name"): p.get("value") for p in conference}
        assert properties["authentication"] == "false"
        item = next(element for element in focus.iter() if element.tag.endswith("}item"))
        assert (item.get("jid") or "").startswith(f"{names.FOCUS_USER}/")

    asyncio.run(story())


def test_only_the_focus_makes_rooms(stack: LocalStack) -> None:
    """Straight to the room without a conference request: refused."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            assert condition(await alice.join(room("direct"), "alice")) == "not-allowed"

    asyncio.run(story())


def test_a_request_for_another_domain_is_refused(stack: LocalStack) -> None:
    """The focus does not join rooms anywhere else."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            answer = await alice.ask(
                names.FOCUS, request("x").replace(names.MUC, "elsewhere.localhost")
            )
            assert condition(answer) == "bad-request"

    asyncio.run(story())


def test_what_the_focus_does_not_know_is_refused(stack: LocalStack) -> None:
    """No question is left hanging."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            answer = await alice.ask(names.FOCUS, '<query xmlns="jabber:iq:version"/>')
            assert condition(answer) == "feature-not-implemented"

    asyncio.run(story())


def test_a_recorder_is_given_to_moderators_only(stack: LocalStack) -> None:
    """And a request of anybody else is answered, not left hanging."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            await enter(alice, "jibri", "alice")
            jibri = '<jibri xmlns="http://jitsi.org/protocol/jibri" action="start"/>'
            assert condition(await alice.ask(f"{room('jibri')}/focus", jibri)) == "not-allowed"

    asyncio.run(story())


def mute(name: str, nick: str) -> str:
    return f'<mute xmlns="{AUDIO}" jid="{room(name)}/{nick}">true</mute>'


def test_only_a_moderator_mutes_somebody_else(stack: LocalStack) -> None:
    """A plain participant is refused, an unknown person is not found, oneself is always allowed."""

    async def story() -> None:
        async with (
            Client(stack.prosody.ports.http) as alice,
            Client(stack.prosody.ports.http) as bob,
        ):
            await enter(alice, "mute", "alice")
            await enter(bob, "mute", "bob")
            focus = f"{room('mute')}/focus"
            assert condition(await bob.ask(focus, mute("mute", "alice"))) == "not-allowed"
            assert condition(await bob.ask(focus, mute("mute", "nobody"))) == "item-not-found"
            assert (await bob.ask(focus, mute("mute", "bob"))).get("type") == "result"

    asyncio.run(story())


def test_the_focus_leaves_an_empty_room_and_it_can_be_opened_again(stack: LocalStack) -> None:
    """A room ends with its last person; the next request makes a new one."""

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            await enter(alice, "empty", "alice")
        log = stack.part("focus").log
        assert await asyncio.to_thread(
            wait_until, lambda: f"left empty room {room('empty')}" in log.read_text(), 5
        )
        async with Client(stack.prosody.ports.http) as bob:
            assert condition(await bob.join(room("empty"), "bob")) == "not-allowed"
            await enter(bob, "empty", "bob")

    asyncio.run(story())


def test_the_focus_comes_back_after_prosody(stack: LocalStack) -> None:
    """After a Prosody crash rooms can be opened again without restarting the focus."""
    focus_pid = stack.part("focus").pid
    stack.prosody.kill()
    assert wait_until(lambda: not stack.part("focus").is_ready(), 5)
    stack.prosody.restart()

    assert wait_until(stack.part("focus").is_ready, 5)

    async def story() -> None:
        async with Client(stack.prosody.ports.http) as alice:
            await enter(alice, "after", "alice")

    asyncio.run(story())
    assert stack.part("focus").pid == focus_pid
