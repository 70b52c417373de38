"""A hospital at work while servers die: what it was promised, to be compared with what is there."""

import asyncio
import random
import threading
import time
from collections import Counter
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import aiohttp
import requests

from tests.flow.clinic import Clinic
from tests.flow.xmpp_client import Refused, XmppClient, logged_in
from tests.flow.xmpp_links import Disconnected

INSIST_FOR_S = 60.0
# Prosody tells the API again at the latest 10 s after a failure.
NOTED_IN_S = 15.0
PAUSE_S = 0.1
# What a client sees of a server that is down, restarting, or forgets it.
PASSING = (Refused, Disconnected, OSError, aiohttp.ClientError, TimeoutError)


@dataclass
class Promised:
    """What the service confirmed, and must therefore never lose."""

    sessions: list[str] = field(default_factory=list)
    ended: list[str] = field(default_factory=list)
    people: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    addresses: list[str] = field(default_factory=list)
    entries: Counter[str] = field(default_factory=Counter)


@dataclass
class Load:
    """Some threads that hold consultations one after the other until told to stop."""

    clinic: Clinic
    seed: int
    promised: Promised = field(default_factory=Promised)

    def __post_init__(self) -> None:
        self._stopping = threading.Event()
        self._threads: list[threading.Thread] = []
        self._errors: list[BaseException] = []

    def start(self, threads: int = 3) -> "Load":
        """Begin."""
        for number in range(threads):
            chance = random.Random(f"{self.seed}-{number}")
            thread = threading.Thread(target=self._work, args=(chance,))
            self._threads.append(thread)
            thread.start()
        return self

    def stop(self) -> Promised:
        """Let the consultations that have begun come to their end, and return what was promised.

        Raises:
            BaseException: the first one a thread ended with.
        """
        self._stopping.set()
        for thread in self._threads:
            thread.join()
        if self._errors:
            raise self._errors[0]
        return self.promised

    def _work(self, chance: random.Random) -> None:
        try:
            while not self._stopping.is_set():
                self._consultation(chance)
        except BaseException as error:  # noqa: BLE001 - told by `stop`, in the test's own thread
            self._errors.append(error)

    def _consultation(self, chance: random.Random) -> None:
        """Plan, invite, meet, and sometimes put somebody out and end it."""
        session = self._insist("POST", "/sessions", {"waiting_room": False})
        self.promised.sessions.append(session["id"])
        # Nobody is written to about a session that is over by then.
        is_ended = chance.random() < 0.5
        doctor = self._invite(session, "doctor", with_mail=not is_ended)
        patient = self._invite(session, "patient", with_mail=False)
        asyncio.run(self._meet((doctor, patient), chance.uniform(0.05, 0.4)))
        if chance.random() < 0.5:
            self._insist("DELETE", f"/sessions/{session['id']}/participants/{patient['id']}")
            self.promised.removed.append(patient["id"])
        if is_ended:
            self._insist("POST", f"/sessions/{session['id']}/end", {"reason": "done"})
            self.promised.ended.append(session["id"])

    def _invite(self, session: dict[str, Any], role: str, *, with_mail: bool) -> dict[str, Any]:
        body = {"role": role, "display_name": "Someone", "reference": str(uuid4())}
        if with_mail:
            body["email"] = f"{body['reference']}@hospital.example"
        row = self._insist("POST", f"/sessions/{session['id']}/participants", body)
        self.promised.people.append(row["id"])
        if with_mail:
            self.promised.addresses.append(body["email"])
        return row

    def _insist(self, method: str, path: str, body: dict[str, Any] | None = None) -> dict[str, Any]:
        """Send a write until it is confirmed, under one key, as a hospital's program must."""
        call = self.clinic.hospital.call
        options: dict[str, Any] = {"headers": {"Idempotency-Key": str(uuid4())}}
        if body is not None:
            options["json"] = body
        return _insist(lambda: call(method, path, **options), lambda _: True, INSIST_FOR_S)

    async def _meet(self, people: Sequence[dict[str, Any]], stay_s: float) -> None:
        """Be together in the room once; whatever goes wrong on the way is tried again."""
        end = time.monotonic() + INSIST_FOR_S
        while time.monotonic() < end:
            try:
                await self._meet_once(people, stay_s)
            except PASSING:
                await asyncio.sleep(PAUSE_S)
            else:
                return
        raise AssertionError("they never met")

    async def _meet_once(self, people: Sequence[dict[str, Any]], stay_s: float) -> None:
        doctor, patient = people
        async with self._inside(doctor), self._inside(patient):
            await asyncio.sleep(stay_s)

    @asynccontextmanager
    async def _inside(self, row: dict[str, Any]) -> AsyncIterator[XmppClient]:
        grant = await asyncio.to_thread(self._grant, row["link"].rsplit("/", 1)[1])
        async with logged_in(self.clinic.port, grant["jwt"]) as client:
            await client.enter(grant["room"])
            self.promised.entries[row["id"]] += 1
            yield client
            await client.leave(grant["room"])

    def _grant(self, code: str) -> dict[str, Any]:
        """Ask for a token until there is one: a patient's waits for the doctor to be noted."""
        url = f"{self.clinic.stack.api_url}/j/{code}/token"
        # Not for ever: meanwhile the doctor's connection may have died with Prosody.
        return _insist(
            lambda: requests.post(url, timeout=15),
            lambda body: body["state"] == "ready",
            NOTED_IN_S,
        )


def _insist(
    send: Callable[[], requests.Response],
    is_wanted: Callable[[dict[str, Any]], bool],
    for_s: float,
) -> dict[str, Any]:
    """Send until the answer is the wanted one. A server may be away, but never mistaken.

    Raises:
        TimeoutError: it was not, for so long.
    """
    end, told = time.monotonic() + for_s, "nothing"
    while time.monotonic() < end:
        with suppress(requests.RequestException):
            answer = send()
            told = answer.text
            assert answer.ok or answer.status_code >= 500, told
            if answer.ok and is_wanted(answer.json()):
                return dict(answer.json())
        time.sleep(PAUSE_S)
    raise TimeoutError(f"asked for {for_s:g} s, told {told}")
