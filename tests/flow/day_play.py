"""A visit of the script on the real stack: REST as the hospital's programs send it, the page's own
token exchange, and XMPP as Jitsi's client sends it. After each step the player waits until what
must follow from it is there."""

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import requests

from tests.flow.clinic import until
from tests.flow.day_expected import Expected
from tests.flow.day_hospital import DayHospital
from tests.flow.day_script import LASTING_MIN, Visit
from tests.flow.xmpp_client import XmppClient, logged_in
from tests.proxy import Proxy

FOLLOWS_WITHIN_S = 15.0


@dataclass
class Player:
    """One visit being played. `made` is what the API answered when it was planned."""

    visit: Visit
    hospital: DayHospital
    began: datetime
    made: dict[str, Any] = field(default_factory=dict)
    people: dict[str, dict[str, Any]] = field(default_factory=dict)
    entry: dict[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.expected = Expected(self.visit)
        self._connections: list[AsyncExitStack] = []
        self._clients: dict[str, XmppClient] = {}
        self._proxy_of: dict[str, Proxy] = {}
        self.room = ""

    @property
    def session_id(self) -> str:
        """Where it takes place."""
        return str(self.made["id"] if self.visit.is_emergency else self.made["session_id"])

    # --- planning

    def plan(self) -> None:
        """Make the visit, and invite everybody."""
        if self.visit.is_emergency:
            self.made = self.hospital.client.session(kind="emergency")
            for role in self.visit.others:
                path = f"/sessions/{self.session_id}/participants"
                self.people[role] = self.hospital.client.make(path, self._person(role))
        else:
            self.made = self.hospital.client.make("/appointments", self._appointment())
            self.people = {one["role"]: one for one in self.made["people"]}
        self.settle()

    def _appointment(self) -> dict[str, Any]:
        return {
            "patient_reference": f"{self.visit.name}-patient",
            "provider_reference": f"{self.visit.name}-doctor",
            "people": [self._person(role) for role in self.visit.others],
            **self._times(self.visit.starts_min),
            **({"visit_type": "door"} if self.visit.has_door else {}),
        }

    def _times(self, starts_min: int) -> dict[str, str]:
        start = self.began + timedelta(minutes=starts_min)
        end = start + timedelta(minutes=LASTING_MIN)
        return {"start": start.isoformat(), "end": end.isoformat()}

    def _person(self, role: str) -> dict[str, Any]:
        reference = f"{self.visit.name}-{role}"
        return {
            "role": role,
            "display_name": f"Some {role}",
            "reference": reference,
            "email": self.hospital.address(reference),
        }

    # --- playing

    async def play(self) -> None:
        """Take all steps but the evening's, which is everybody's."""
        try:
            for verb, who in self.visit.moves:
                if verb != "evening":
                    await self._step(verb, who)
        finally:
            for connection in self._connections:
                await connection.aclose()

    def finish(self) -> None:
        """See the evening's step through, if the script has one."""
        for verb, rule in self.visit.moves:
            if verb == "evening":
                self.expected.step(verb, rule)
        self.settle()

    async def _step(self, verb: str, who: str) -> None:
        act = getattr(self, f"do_{verb}")
        if asyncio.iscoroutinefunction(act):
            await act(who)
        else:
            await asyncio.to_thread(act, who)
        self.expected.step(verb, who)
        await asyncio.to_thread(self.settle)

    def settle(self) -> None:
        """Wait until everything that follows from the steps so far has come."""
        until(self._has_settled, FOLLOWS_WITHIN_S)
        missing = Counter(self.expected.events) - self._events()
        assert not missing, f"{self.visit.name}: {missing} did not happen, but {self._events()}"
        unsent = self.expected.mails - self._mails()
        assert not unsent, f"{self.visit.name}: {unsent} did not arrive"

    def _has_settled(self) -> bool:
        some = Counter(self.expected.events) - self._events()
        return not some and not self.expected.mails - self._mails()

    def _events(self) -> Counter[tuple[str, str]]:
        return Counter(self.hospital.events_of(self.session_id, self.roles))

    def _mails(self) -> Counter[tuple[str, str]]:
        return self.hospital.mails_of(self.visit)

    @property
    def roles(self) -> dict[str, str]:
        """Return everybody's role by id."""
        return {one["id"]: role for role, one in self.people.items()}

    # --- the verbs, in the room

    async def do_enter(self, who: str) -> None:
        await self._connect(who)

    async def do_device(self, who: str) -> None:
        await self._connect(who)

    async def do_leave(self, who: str) -> None:
        await self._clients.pop(who).leave(self.room)

    async def do_drop(self, who: str) -> None:
        """A router on the way loses its table."""
        del self._clients[who]
        assert self._proxy_of[who].reset()

    async def _connect(self, who: str) -> None:
        grant = await asyncio.to_thread(self._exchange, who)
        assert grant["state"] == "ready", (self.visit.name, who, grant)
        self.room = grant["room"]
        stack = AsyncExitStack()
        self._connections.append(stack)
        proxy = stack.enter_context(Proxy())
        proxy.target_port = self.hospital.stack.ports["prosody_http"]
        self._proxy_of[who] = proxy
        client = await stack.enter_async_context(logged_in(proxy.port, grant["jwt"]))
        await client.enter(self.room)
        self._clients[who] = client

    # --- the verbs, over HTTP

    def do_knock(self, who: str) -> None:
        grant = self._exchange(who)
        assert grant["state"] == "waiting", grant
        assert grant["waiting"]["place"] >= 1

    def do_admit(self, who: str) -> None:
        self._decide(who, "admit")

    def do_deny(self, who: str) -> None:
        self._decide(who, "deny")

    def do_remove(self, who: str) -> None:
        path = f"/sessions/{self.session_id}/participants/{self.people[who]['id']}"
        self.hospital.do("DELETE", path)

    def do_arrive(self, _who: str) -> None:
        self.hospital.do("POST", f"/appointments/{self.made['id']}/arrive")

    def do_cancel(self, _who: str) -> None:
        self.hospital.do("POST", f"/appointments/{self.made['id']}/cancel", json={"reason": "ill"})

    def do_reschedule(self, minutes: str) -> None:
        path = f"/appointments/{self.made['id']}"
        tag = self.hospital.do("GET", path).headers["ETag"]
        body = {"visit_type": "consultation", "reference": None, **self._times(int(minutes))}
        self.hospital.do("PUT", path, json=body, headers={"If-Match": tag})

    def do_break_glass(self, who: str) -> None:
        path = f"/sessions/{self.session_id}/emergency-entries"
        body = {"reason": "Nobody else is near.", "display_name": "Crew", "role": who}
        entered = self.hospital.client.make(path, {**body, "reference": f"{self.visit.name}-{who}"})
        self.people[who], self.entry = entered["participant"], entered["entry"]

    def do_review(self, outcome: str) -> None:
        path = f"/emergency-entries/{self.entry['id']}/review"
        answer = self.hospital.reviewer.call("POST", path, json={"outcome": outcome})
        assert answer.ok, answer.text

    def do_later(self, _who: str) -> None:
        self.hospital.let_time_pass(self.session_id)

    def do_end(self, _who: str) -> None:
        kind = "sessions" if self.visit.is_emergency else "visits"
        self.hospital.do("POST", f"/{kind}/{self.made['id']}/end", json={"reason": "done"})

    def _decide(self, who: str, what: str) -> None:
        person = self.people[who]["id"]
        self.hospital.do("POST", f"/sessions/{self.session_id}/waiting/{person}/{what}", json={})

    def _exchange(self, who: str) -> dict[str, Any]:
        code = self.people[who]["link"].rsplit("/", 1)[1]
        answer = requests.post(f"{self.hospital.stack.api_url}/j/{code}/token", timeout=15)
        assert answer.ok, (self.visit.name, who, answer.text)
        return dict(answer.json())
