"""Every permission, every role, every channel: what the table of permissions does not give is
refused over XMPP and on the page, and is on record; what it gives is not refused."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from typing import Any
from uuid import UUID

import pytest
import requests
from sqlalchemy import select

from app.audit.models import AuditEntry
from app.participants.permissions import Permission, Role
from tests.flow.clinic import AUDITED_WITHIN_S, Clinic, Guest, until
from tests.flow.matrix import PAGE, REST, STANZAS, Act, Case, cases, try_stanza
from tests.flow.xmpp_client import Refused, XmppClient, logged_in

ROLES = [str(role) for role in Role]
Outcomes = dict[Case, str]
ON_XMPP, ON_PAGE, ON_REST = (list(cases(acts)) for acts in (STANZAS, PAGE, REST))

# Said to who may, about a room that nobody is in.
NOT_NOW = ("room_empty", "recording_not_found")
ALONE = Act("entry", "alone", Permission.ENTER_WITHOUT_HOST, "waiting-for-host")
ENTRIES = list(cases([ALONE]))


@pytest.fixture(scope="module")
def guests(clinic: Clinic) -> dict[str, Guest]:
    """Those of the rooms; the end of one of them is the end of their session."""
    return company(clinic)


def company(clinic: Clinic) -> dict[str, Guest]:
    """Return one of each role in one session, and a bystander who is in no room."""
    doctor = clinic.guest("doctor")
    others = {role: clinic.guest(role, doctor.session) for role in ROLES if role != "doctor"}
    return {"doctor": doctor, **others, "bystander": clinic.guest("relative", doctor.session)}


@pytest.fixture(scope="module")
def alone(clinic: Clinic) -> Outcomes:
    """What happens to each who enters an empty room of an open session."""

    async def enter(guest: Guest) -> str:
        async with logged_in(clinic.port, guest.token) as client:
            try:
                await client.enter(guest.room)
                await client.leave(guest.room)
            except Refused as refused:
                return refused.code
            return ""

    session = clinic.hospital.session()
    return {case: asyncio.run(enter(clinic.guest(case.role, session))) for case in ENTRIES}


@pytest.fixture(scope="module")
def over_rest(clinic: Clinic, guests: dict[str, Guest]) -> dict[str, set[str]]:
    """What the exchange of each link says the person may, with a host inside."""

    async def exchange() -> dict[str, set[str]]:
        async with logged_in(clinic.port, guests["doctor"].token) as host:
            await host.enter(guests["doctor"].room)
            return {role: await asyncio.to_thread(said, guests[role]) for role in ROLES}

    def said(guest: Guest) -> set[str]:
        found: dict[str, Any] = {}

        def is_ready() -> bool:
            url = f"{clinic.stack.api_url}/j/{guest.code}/token"
            found.update(requests.post(url, timeout=10).json())
            return bool(found["state"] == "ready")

        assert until(is_ready, AUDITED_WITHIN_S)
        return set(found["permissions"])

    return asyncio.run(exchange())


@pytest.fixture(scope="module")
def over_xmpp(clinic: Clinic, guests: dict[str, Guest], over_rest: dict[str, set[str]]) -> Outcomes:
    """The code each stanza was refused with, or ''. `over_rest` was there before: at the end of
    this the room is destroyed."""

    async def act() -> Outcomes:
        clients: dict[str, XmppClient] = {}
        async with AsyncExitStack() as inside:
            for role in ROLES:
                client = await inside.enter_async_context(
                    logged_in(clinic.port, guests[role].token)
                )
                clients[role] = await client.enter(guests[role].room)
            return {
                case: await try_stanza(clients[case.role], case.act, guests["doctor"].room, number)
                for number, case in enumerate(ON_XMPP)
            }

    return asyncio.run(act())


@pytest.fixture(scope="module")
def on_page(clinic: Clinic) -> Outcomes:
    """The code each request of a page was refused with, or ''. At the end of it the session is
    over."""
    page, guests = requests.Session(), company(clinic)

    def request(case: Case) -> str:
        url = f"{clinic.stack.api_url}/j/{guests[case.role].code}/{case.act.name}"
        if case.act.name == "people":
            answer = page.get(url, timeout=10)
        else:
            answer = page.post(url, json=case.act.body(guests["bystander"].id), timeout=10)
        code = "" if answer.ok else str(answer.json()["code"])
        return "" if code in NOT_NOW else code

    return {case: request(case) for case in ON_PAGE}


@pytest.mark.parametrize("case", ENTRIES, ids=str)
def test_entry(alone: Outcomes, case: Case) -> None:
    """Who may not be in a room alone is not let in first."""
    assert alone[case] == ("" if case.is_allowed else case.act.code)


@pytest.mark.parametrize("case", ON_REST, ids=str)
def test_exchange(over_rest: dict[str, set[str]], case: Case) -> None:
    """What a client is told of its permissions is what the table says."""
    assert (str(case.act.permission) in over_rest[case.role]) is case.is_allowed


@pytest.mark.parametrize("case", ON_XMPP, ids=str)
def test_stanza(over_xmpp: Outcomes, case: Case) -> None:
    """Prosody refuses what the person may not, and nothing else."""
    assert over_xmpp[case] == ("" if case.is_allowed else case.act.code)


@pytest.mark.parametrize("case", ON_PAGE, ids=str)
def test_page(on_page: Outcomes, case: Case) -> None:
    """So does the service, asked by a page."""
    assert on_page[case] == ("" if case.is_allowed else case.act.code)


def test_every_refused_stanza_is_one_entry_on_record(
    clinic: Clinic, guests: dict[str, Guest], over_xmpp: Outcomes
) -> None:
    """Who, what and why."""
    wanted = Counter(
        (guests[case.role].id, case.act.kind, code) for case, code in over_xmpp.items() if code
    )
    session = UUID(guests["doctor"].session["id"])
    query = select(AuditEntry).where(
        AuditEntry.session_id == session, AuditEntry.action == "room.act_refused"
    )

    def on_record() -> Counter[tuple[str, str, str]]:
        with clinic.services.database.begin() as db:
            return Counter(
                (str(e.participant_id), e.detail["act"], e.detail["code"])
                for e in db.scalars(query)
                for _ in range(e.detail["count"])
            )

    assert until(lambda: on_record() == wanted, AUDITED_WITHIN_S), on_record() - wanted


def test_there_are_as_many_cases_as_were_promised() -> None:
    """At least 150, whatever becomes of the table."""
    assert len(ENTRIES + ON_REST + ON_XMPP + ON_PAGE) >= 150
