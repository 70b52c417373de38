"""kill -9 of every part at random moments under load: nothing that was confirmed is lost.

The moments come from a seed that is part of the test's name, so a failure can be played again.
"""

import asyncio
import random
import time
from collections.abc import Awaitable, Callable, Iterator, Sequence
from dataclasses import replace

import pytest

from tests.flow.aftermath import (
    expect_attendance,
    expect_events,
    expect_healthy,
    expect_mails,
    expect_nothing_stuck,
    expect_states,
    pending_orders,
)
from tests.flow.clinic import Clinic, Guest, until
from tests.flow.delivery import Receiver, receiver
from tests.flow.load import Load
from tests.flow.xmpp_client import Refused, XmppClient, logged_in
from tests.stack_client import sign_in

__all__ = ["receiver"]

PARTS = ("api", "worker", "relay", "gateway", "redis", "postgres", "prosody")
CARRIED_OUT_WITHIN_S = 30.0
SOAK_S = 180.0


@pytest.fixture
def ward(clinic: Clinic, demo: dict[str, str], receiver: Receiver) -> Iterator[Clinic]:
    """The clinic with a fresh API token and a subscribed receiver; well again afterwards."""
    program = sign_in(clinic.stack, demo["client_id"], demo["client_secret"])
    subscription = program.make("/webhooks", {"url": receiver.url})
    receiver.secret = subscription["secret"]
    yield replace(clinic, hospital=program)
    expect_healthy(clinic)
    program.call("DELETE", f"/webhooks/{subscription['id']}")


def kill(clinic: Clinic, names: Sequence[str], chance: random.Random) -> None:
    """Kill one part after the other, each after a while and for a while."""
    for name in names:
        part = clinic.stack.part(name)
        time.sleep(chance.uniform(0.3, 1.0))  # the moment is the point of the test
        part.kill()
        time.sleep(chance.uniform(0.0, 1.0))  # and so is how long it is away
        part.start()


def expect_everything(ward: Clinic, load: Load, receiver: Receiver, killed: Sequence[str]) -> None:
    promised = load.stop()
    assert promised.sessions
    expect_healthy(ward)
    expect_nothing_stuck(ward, promised)
    expect_states(ward, promised)
    expect_events(ward, promised, receiver)
    expect_mails(ward, promised)
    if "prosody" not in killed:
        expect_attendance(ward, promised)


def test_without_a_crash(ward: Clinic, receiver: Receiver) -> None:
    """The yardstick: the same demands on an undisturbed second of work."""
    load = Load(ward, seed=0).start()
    time.sleep(1.0)
    expect_everything(ward, load, receiver, [])


@pytest.mark.parametrize("seed", [1])
@pytest.mark.parametrize("name", PARTS)
def test_one_part_killed(ward: Clinic, receiver: Receiver, name: str, seed: int) -> None:
    """In the middle of the work."""
    load = Load(ward, seed).start()
    try:
        kill(ward, [name], random.Random(f"{name}-{seed}"))
    finally:
        expect_everything(ward, load, receiver, [name])


@pytest.mark.parametrize("seed", [2])
def test_all_parts_killed_in_any_order(ward: Clinic, receiver: Receiver, seed: int) -> None:
    """One after the other, not waiting until the last is well again."""
    chance = random.Random(seed)
    load = Load(ward, seed).start()
    try:
        kill(ward, chance.sample(PARTS, len(PARTS)), chance)
    finally:
        expect_everything(ward, load, receiver, PARTS)


@pytest.mark.long
@pytest.mark.timeout(SOAK_S + 300)
@pytest.mark.parametrize("seed", range(100, 103))
def test_soak(ward: Clinic, receiver: Receiver, seed: int) -> None:
    """The same for minutes."""
    chance = random.Random(seed)
    load = Load(ward, seed).start()
    end = time.monotonic() + SOAK_S
    try:
        while time.monotonic() < end:
            kill(ward, [chance.choice(PARTS)], chance)
    finally:
        expect_everything(ward, load, receiver, PARTS)


# --- orders that were accepted while the room could not hear them


async def with_both_inside(
    ward: Clinic, people: tuple[Guest, Guest], act: Callable[[XmppClient], Awaitable[None]]
) -> None:
    """Have a doctor and a patient in the room, and do something with the patient's client."""
    doctor, patient = people
    async with (
        logged_in(ward.port, doctor.token) as host,
        logged_in(ward.port, patient.token) as client,
    ):
        await host.enter(doctor.room)
        await client.enter(patient.room)
        await act(client)


def is_carried_out(ward: Clinic, guest: Guest) -> Callable[[], bool]:
    """Return a look at whether an order about this session still waits."""
    return lambda: not pending_orders(ward, guest.session["id"])


@pytest.mark.parametrize("order", ["remove", "end"])
def test_an_order_given_without_a_gateway_is_carried_out_on_its_return(
    ward: Clinic, order: str
) -> None:
    """Accepted with 202 while the gateway was dead; the patient is put out once it is back."""
    doctor = ward.guest("doctor")
    patient = ward.guest("patient", doctor.session)
    gateway = ward.stack.part("gateway")

    async def give_order(client: XmppClient) -> None:
        await asyncio.to_thread(gateway.kill)
        answer = await asyncio.to_thread(give, ward, patient, order)
        assert answer == 202
        await asyncio.to_thread(gateway.start)
        await until_out(client, patient)

    asyncio.run(with_both_inside(ward, (doctor, patient), give_order))
    assert until(is_carried_out(ward, patient), CARRIED_OUT_WITHIN_S)


@pytest.mark.parametrize(("order", "code"), [("remove", "removed"), ("end", "session-ended")])
def test_an_order_given_without_prosody_holds_on_its_return(
    ward: Clinic, order: str, code: str
) -> None:
    """Nobody was in a room then; on return the person is refused and the order settled."""
    doctor = ward.guest("doctor")
    patient = ward.guest("patient", doctor.session)
    prosody = ward.stack.part("prosody")

    async def give_order(_client: XmppClient) -> None:
        await asyncio.to_thread(prosody.kill)
        assert await asyncio.to_thread(give, ward, patient, order) == 202
        await asyncio.to_thread(prosody.start)

    asyncio.run(with_both_inside(ward, (doctor, patient), give_order))
    assert asyncio.run(refusal_of(ward, patient)) == code
    assert until(is_carried_out(ward, patient), CARRIED_OUT_WITHIN_S)
    assert until(lambda: not ward.hospital.read(patient.session)["present"], CARRIED_OUT_WITHIN_S)


def give(ward: Clinic, patient: Guest, order: str) -> int:
    """Give the order and return the status of the answer."""
    if order == "remove":
        return ward.do("DELETE", patient.path).status_code
    return ward.do("POST", f"/sessions/{patient.session['id']}/end").status_code


async def until_out(client: XmppClient, patient: Guest) -> None:
    async with asyncio.timeout(CARRIED_OUT_WITHIN_S):
        while True:
            try:
                await client.until_out(patient.room)
            except TimeoutError:
                continue
            return


async def refusal_of(ward: Clinic, guest: Guest) -> str:
    """Return the code with which a person is kept out."""
    async with logged_in(ward.port, guest.token) as client:
        with pytest.raises(Refused) as caught:
            await client.request_conference(guest.room)
        return caught.value.code
