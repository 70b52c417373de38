"""What our small XMPP servers share: an external component (XEP-0114) that comes back at once."""

from __future__ import annotations

import asyncio
import logging
import signal
from pathlib import Path

from slixmpp import ComponentXMPP

STREAM = "jabber:component:accept"
MUC_JOIN = "{http://jabber.org/protocol/muc}x"
RECONNECT_AFTER_S = 0.2

log = logging.getLogger(__name__)


class Refused(Exception):
    """Answer with this XMPP error condition (RFC 6120, 8.3.3)."""

    def __init__(self, kind: str, condition: str) -> None:
        super().__init__(condition)
        self.kind = kind
        self.condition = condition


class Component(ComponentXMPP):  # type: ignore[misc, unused-ignore]
    """A component that connects again after 0.2 s: slixmpp waits 3 s and more between attempts, and
    tests restart Prosody in 2 s. `connected_file` is there while it is ready."""

    def __init__(self, jid: str, *, secret: str, port: int, connected_file: Path) -> None:
        super().__init__(jid, secret, "127.0.0.1", port, fix_error_ns=True)
        self.enable_direct_tls = self.enable_starttls = False
        self.enable_plaintext = True
        # Each of ours knows by itself who is in its rooms; slixmpp would keep a roster of them all.
        for handler in ("IM", "IMError", "Presence"):
            self.remove_handler(handler)
        self.connected_file = connected_file
        self._ending = False
        self.add_event_handler("session_start", lambda _: self.when_connected())
        self.add_event_handler("disconnected", lambda _: self._on_disconnected())
        self.add_event_handler("connection_failed", lambda _: self._connect_again())

    def when_connected(self) -> None:
        """Begin; called for each connection."""

    def when_lost(self) -> None:
        """Forget what belongs to the connection that is gone."""

    async def end(self) -> None:
        """Close the stream and do not come back."""
        self._ending = True
        self.disconnect()

    def _on_disconnected(self) -> None:
        self.connected_file.unlink(missing_ok=True)
        self.when_lost()
        self._connect_again()

    def _connect_again(self) -> None:
        self.cancel_connection_attempt()
        if not self._ending:
            self.loop.call_later(RECONNECT_AFTER_S, self.connect)


async def serve(component: Component) -> None:
    """Serve until SIGTERM or SIGINT."""
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, ended.set)
    component.connect()
    await ended.wait()
    await component.end()
    await asyncio.wait_for(component.disconnected, 2)


def log_to_stderr() -> None:
    """Log as a part of the stack does, without the stanzas: some carry a person's token."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(levelname)s %(message)s")
    logging.getLogger("slixmpp").setLevel(logging.ERROR)
