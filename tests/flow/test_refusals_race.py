"""Refusals that take more than one person or more than one step: order, races, replays."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from app.clock import utc_now
from app.localstack import names
from tests.flow.clinic import AUDITED_WITHIN_S, Clinic, Guest, until
from tests.flow.refused import at_entry, at_request
from tests.flow.xmpp_client import Refused, XmppClient, connection, logged_in, room_jid

PING = '<ping xmlns="urn:xmpp:ping"/>'


def test_straight_to_the_room_without_a_conference_request(clinic: Clinic) -> None:
    """With everything right but the order, also when the room exists."""
    doctor = clinic.guest()
    nurse = clinic.guest("nurse", doctor.session)
    began = utc_now()

    async def try_it() -> None:
        async with logged_in(clinic.port, nurse.token) as client:
            with at_entry("no-conference"):
                await client.join(nurse.room)
            async with logged_in(clinic.port, doctor.token) as other:
                await other.enter(doctor.room)
                with at_entry("no-conference"):
                    await client.join(nurse.room)

    asyncio.run(try_it())
    assert until(lambda: len(clinic.refusals(began, code="no-conference")) == 2, AUDITED_WITHIN_S)


def test_only_the_focus_opens_rooms(clinic: Clinic) -> None:
    """An admitted request whose focus never came gives nobody the right to make the room."""
    doctor, began = clinic.guest(), utc_now()

    async def try_it() -> None:
        async with logged_in(clinic.port, doctor.token) as client:
            with pytest.raises(TimeoutError):
                await asyncio.wait_for(client.request_conference(doctor.room), 0.5)
            with at_entry("no-conference"):
                await client.join(doctor.room)

    focus = clinic.stack.part("focus")
    focus.suspend()
    try:
        asyncio.run(try_it())
    finally:
        focus.resume()
    assert clinic.audited(began, code="no-conference")


def test_admitted_to_one_room_is_not_admitted_to_another(clinic: Clinic) -> None:
    """The conference request counts for its own room only."""
    doctor, other = clinic.guest(), clinic.guest()
    began = utc_now()

    async def try_it() -> None:
        async with logged_in(clinic.port, other.token) as elsewhere:
            await elsewhere.enter(other.room)
            async with logged_in(clinic.port, doctor.token) as client:
                await client.request_conference(doctor.room)
                with at_entry("no-conference"):
                    await client.join(other.room)

    asyncio.run(try_it())
    assert clinic.audited(began, code="no-conference")


@asynccontextmanager
async def logged_in_beside_a_host(clinic: Clinic, guest: Guest) -> AsyncIterator[XmppClient]:
    """A person's connection that is logged in, while a host is in their room."""
    doctor = clinic.guest("doctor", guest.session)
    async with (
        logged_in(clinic.port, doctor.token) as host,
        logged_in(clinic.port, guest.token) as client,
    ):
        await host.enter(doctor.room)
        yield client


def test_removed_between_request_and_entry(clinic: Clinic) -> None:
    """The removal overtakes the admission that was given a moment before."""
    patient, began = clinic.guest("patient"), utc_now()

    async def try_it() -> None:
        async with logged_in_beside_a_host(clinic, patient) as client:
            await client.request_conference(patient.room)
            await asyncio.to_thread(clinic.remove, patient)
            with at_entry("removed"):
                await client.join(patient.room)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="removed").participant_id) == patient.id


def test_removed_between_login_and_request(clinic: Clinic) -> None:
    """Who logs in is asked about at once; the removal overtakes that answer, too."""
    patient, began = clinic.guest("patient"), utc_now()

    async def try_it() -> None:
        async with logged_in_beside_a_host(clinic, patient) as client:
            await asyncio.to_thread(clinic.remove, patient)
            with at_request(True, "removed"):
                await client.request_conference(patient.room)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="removed").participant_id) == patient.id


def test_a_removed_person_stays_out_on_the_same_connection(clinic: Clinic) -> None:
    """Put out, their client is still logged in: neither request nor entry works any more."""
    patient, began = clinic.guest("patient"), utc_now()

    async def try_it() -> None:
        async with logged_in_beside_a_host(clinic, patient) as client:
            await client.enter(patient.room)
            await asyncio.to_thread(clinic.remove, patient)
            await client.until_out(patient.room)
            with at_request(True, "removed"):
                await client.request_conference(patient.room)
            with at_entry("no-conference"):
                await client.join(patient.room)

    asyncio.run(try_it())
    assert clinic.audited(began, code="removed")


def test_a_full_room(clinic: Clinic) -> None:
    """One place: the second person is refused, and the first may come again."""
    doctor = clinic.guest("doctor", clinic.hospital.session(capacity=1))
    nurse = clinic.guest("nurse", doctor.session)
    began = utc_now()

    async def try_it() -> None:
        async with (
            logged_in(clinic.port, doctor.token) as first,
            logged_in(clinic.port, nurse.token) as second,
        ):
            await first.enter(doctor.room)
            await second.request_conference(nurse.room)
            with at_entry("full", condition="service-unavailable"):
                await second.join(nurse.room)
        async with logged_in(clinic.port, clinic.token(doctor.code)) as again:
            await again.enter(doctor.room)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="full").participant_id) == nurse.id


def test_two_race_for_the_last_place(clinic: Clinic) -> None:
    """Five at once, two places, one of them taken: exactly one gets in, whatever the order."""
    doctor = clinic.guest("doctor", clinic.hospital.session(capacity=2))
    rivals = [clinic.guest("nurse", doctor.session) for _ in range(4)]
    began = utc_now()

    async def try_to_enter(rival: Guest, ready: asyncio.Barrier) -> str:
        async with logged_in(clinic.port, rival.token) as client:
            await client.request_conference(rival.room)
            await ready.wait()
            try:
                await client.join(rival.room)
            except Refused as refused:
                outcome = refused.code
            else:
                outcome = "in"
            await ready.wait()  # nobody leaves before all were answered
            return outcome

    async def race() -> list[str]:
        ready = asyncio.Barrier(len(rivals))
        async with logged_in(clinic.port, doctor.token) as host:
            await host.enter(doctor.room)
            return await asyncio.gather(*(try_to_enter(rival, ready) for rival in rivals))

    assert sorted(asyncio.run(race())) == ["full", "full", "full", "in"]
    assert until(lambda: len(clinic.refusals(began, code="full")) == 3, AUDITED_WITHIN_S)


def test_the_same_token_on_a_second_connection(clinic: Clinic) -> None:
    """A token overheard and replayed while its owner is inside; the owner notices nothing."""
    doctor, began = clinic.guest(), utc_now()

    async def try_it() -> None:
        async with (
            logged_in(clinic.port, doctor.token) as owner,
            logged_in(clinic.port, doctor.token) as thief,
        ):
            await owner.enter(doctor.room)
            await thief.request_conference(doctor.room)
            with at_entry("already-connected"):
                await thief.join(doctor.room)
            await owner.ask("get", room_jid(doctor.room, owner.nick), PING)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="already-connected").participant_id) == doctor.id


def test_a_stolen_session_id_with_another_persons_token(clinic: Clinic) -> None:
    """Who overheard the id of a session cannot resume it, also while its owner is cut off."""
    doctor = clinic.guest()
    patient = clinic.guest("patient", doctor.session)

    async def try_it() -> None:
        async with logged_in(clinic.port, doctor.token) as owner:
            await owner.enter(doctor.room)
            previd = await owner.become_resumable()
            await owner.link.vanish()
            async with connection(clinic.port, patient.token, previd=previd) as thief:
                await thief.log_in()
                with pytest.raises(Refused) as caught:
                    await thief.resume(previd)
                assert caught.value.condition == "item-not-found"
            async with connection(clinic.port, doctor.token, previd=previd) as back:
                await back.log_in()
                await back.resume(previd)

    asyncio.run(try_it())


@pytest.mark.parametrize("nick_of", ["the doctor", "the focus"])
def test_a_nickname_somebody_has(clinic: Clinic, nick_of: str) -> None:
    """Nobody can pass for another occupant, least of all for the focus."""
    doctor = clinic.guest()
    patient = clinic.guest("patient", doctor.session)
    began = utc_now()

    async def try_it() -> None:
        async with (
            logged_in(clinic.port, doctor.token) as host,
            logged_in(clinic.port, patient.token) as client,
        ):
            await host.enter(doctor.room)
            await client.request_conference(patient.room)
            with at_entry("nick-taken", condition="conflict"):
                nick = names.FOCUS_NICK if nick_of == "the focus" else host.nick
                await client.join(patient.room, nick)

    asyncio.run(try_it())
    assert str(clinic.audited(began, code="nick-taken").participant_id) == patient.id
