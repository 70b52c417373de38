"""The gateway's connection to Prosody: an XMPP component (XEP-0114) over slixmpp."""

import asyncio
import json
import socket
from contextlib import suppress
from itertools import count
from typing import Any
from xml.sax.saxutils import escape, quoteattr

import structlog
from slixmpp import ComponentXMPP, Iq
from slixmpp.xmlstream import StanzaBase
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher.base import MatcherBase

from app.settings import Settings
from workers.gateway_commands import CommandFailed

log = structlog.get_logger()

NAMESPACE = "urn:teleconsult:control:1"
CONNECT_WITHIN_S = 5.0
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.1, 1.0
# A dead peer is noticed within about ten seconds.
KEEPALIVE = {
    socket.TCP_KEEPIDLE: 5,
    socket.TCP_KEEPINTVL: 2,
    socket.TCP_KEEPCNT: 3,
    socket.TCP_USER_TIMEOUT: 10_000,
}
# Conditions (RFC 6120) that say "not now"; all others say "not like this".
PASSING = {
    "internal-server-error",
    "recipient-unavailable",
    "remote-server-not-found",
    "remote-server-timeout",
    "resource-constraint",
    "service-unavailable",
    "undefined-condition",
}


class _Answers(MatcherBase):
    """Recognises the answers to our questions by id: one look, however many are under way."""

    def match(self, xml: Any) -> bool:
        return isinstance(xml, Iq) and xml["type"] in ("result", "error")


class RoomLink(ComponentXMPP):
    """The connection to Prosody. `ready` is set while commands can be sent."""

    def __init__(self, settings: Settings) -> None:
        super().__init__(
            settings.xmpp_component_jid,
            settings.xmpp_component_secret,
            settings.xmpp_component_host,
            settings.xmpp_component_port,
        )
        # XEP-0114 knows no TLS: the port belongs on loopback or an internal network.
        self.enable_starttls = self.enable_direct_tls = False
        self.enable_plaintext = True
        self.ready = asyncio.Event()
        self.lost = asyncio.Event()
        self._rooms = settings.jitsi_muc_domain
        self._address = settings.xmpp_component_jid
        self._numbers = count(1)
        self._waiting: dict[str, asyncio.Future[dict[str, Any]]] = {}
        self._outcome: asyncio.Future[bool] = self.loop.create_future()
        self.register_handler(Callback("answers", _Answers(None), self._on_answer))
        self.add_event_handler("session_start", self._on_session)
        self.add_event_handler("connection_failed", self._on_failure)
        self.add_event_handler("disconnected", self._on_disconnected)

    async def stay_connected(self) -> None:
        """Connect, and connect again whenever the connection is lost. slixmpp does not do that for
        a component whose server restarts."""
        pause_s = FIRST_PAUSE_S
        while True:
            if await self._connect_once():
                log.info("gateway_connected")
                pause_s = FIRST_PAUSE_S
                await self.lost.wait()
                log.warning("gateway_disconnected")
            elif pause_s == FIRST_PAUSE_S:  # once per outage, not once per second
                log.warning("gateway_cannot_connect")
            await asyncio.sleep(pause_s)
            pause_s = min(pause_s * 2, LONGEST_PAUSE_S)

    async def command(self, name: str, args: dict[str, Any], timeout_s: float) -> dict[str, Any]:
        """Have Prosody carry out one command and return its answer.

        Raises:
            CommandFailed: it refused, did not answer in time, or is not connected.
        """
        if not self.ready.is_set():
            raise CommandFailed("not connected", retryable=True)
        number = f"tc{next(self._numbers)}"
        answer: asyncio.Future[dict[str, Any]] = self.loop.create_future()
        self._waiting[number] = answer
        try:
            self.send_raw(self._stanza(number, name, args))
            # Not wait_for: in Python 3.11 it loses a cancellation that comes with the answer.
            async with asyncio.timeout(timeout_s):
                return await answer
        except TimeoutError as error:
            raise CommandFailed("no answer in time", retryable=True) from error
        finally:
            del self._waiting[number]

    async def close(self) -> None:
        """End the stream in order."""
        self.cancel_connection_attempt()
        if self.is_connected():
            await self.disconnect(wait=1.0)

    def _stanza(self, number: str, name: str, args: dict[str, Any]) -> str:
        # json.dumps writes ASCII only: a character XML forbids would end the whole stream.
        body = escape(json.dumps(args, separators=(",", ":")))
        return (
            f"<iq type='set' id='{number}' from={quoteattr(self._address)}"
            f" to={quoteattr(self._rooms)}>"
            f"<command xmlns='{NAMESPACE}' name={quoteattr(name)}>{body}</command></iq>"
        )

    async def _connect_once(self) -> bool:
        self._outcome = self.loop.create_future()
        self.connect()
        with suppress(TimeoutError):
            async with asyncio.timeout(CONNECT_WITHIN_S):
                if await self._outcome:
                    return True
        self.cancel_connection_attempt()
        self.abort()
        return False

    def _settle(self, outcome: bool) -> None:
        if not self._outcome.done():
            self._outcome.set_result(outcome)

    def _on_session(self, _: object) -> None:
        if self.socket is not None:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
            for option, value in KEEPALIVE.items():
                self.socket.setsockopt(socket.IPPROTO_TCP, option, value)
        self.lost.clear()
        self.ready.set()
        self._settle(True)

    def _on_failure(self, _: object) -> None:
        # slixmpp would try again by itself, but up to five minutes later.
        self.cancel_connection_attempt()
        self._settle(False)

    def _on_disconnected(self, _: object) -> None:
        self.ready.clear()
        self.lost.set()
        self._settle(False)
        for answer in self._waiting.values():
            if not answer.done():
                answer.set_exception(CommandFailed("connection lost", retryable=True))

    def _on_answer(self, iq: StanzaBase) -> None:
        answer = self._waiting.get(iq["id"])
        if answer is None or answer.done():
            return
        try:
            answer.set_result(_result(iq))
        except CommandFailed as failure:
            answer.set_exception(failure)


def _result(iq: StanzaBase) -> dict[str, Any]:
    if iq["type"] == "error":
        condition = _condition(iq)
        raise CommandFailed(condition, retryable=condition in PASSING)
    content = iq.xml.findtext(f"{{{NAMESPACE}}}command") or ""
    try:
        return dict(json.loads(content))
    except (ValueError, TypeError) as error:
        raise CommandFailed("unreadable answer", retryable=False) from error


def _condition(iq: StanzaBase) -> str:
    """Return the condition of an error. slixmpp looks for it in the namespace of clients, finds
    nothing on a component's stream, and always reports `feature-not-implemented`."""
    error = iq.xml.find("{jabber:component:accept}error")
    conditions = [child.tag.partition("}")[2] for child in error] if error is not None else []
    named = [one for one in conditions if one not in ("text", "")]
    return named[0] if named else "undefined-condition"
