"""A stand-in for Jibri: `python -m app.localstack.recorder FILE`.

It shows itself in the brewery, takes one recording at a time, enters the room as a hidden
participant, writes a small real MP4 as long as it is told to record, and runs the finalize script.
What each stanza imitates, and where upstream does it: docs/stand-ins.md.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import secrets
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from xml.etree import ElementTree as ET

from slixmpp import JID, Iq
from slixmpp.xmlstream.handler import CoroutineCallback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.stanzabase import StanzaBase

from app.clock import utc_now
from app.localstack import names
from app.localstack.component import MUC_JOIN, STREAM, Component, log_to_stderr, serve
from app.localstack.focus_recording import BUSY, JIBRI, NS, RECORDER_STATUS, order_in

HEALTH = "{http://jitsi.org/protocol/health}health-status"
FEATURES = "{http://jabber.org/protocol/disco#info}features"
FEATURE = "{http://jabber.org/protocol/disco#info}feature"
# A test picture and a tone in real time, until it is told to end.
FFMPEG = (
    "ffmpeg", "-loglevel", "error", "-progress", "pipe:1", "-stats_period", "0.1", "-re",
    "-f", "lavfi", "-i", "testsrc=size=320x180:rate=5",
    "-f", "lavfi", "-i", "sine=frequency=440",
    "-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac",
)  # fmt: skip

SWEEP_EVERY_S = 5

log = logging.getLogger(__name__)


@dataclass
class Work:
    """The recording under way."""

    room: str
    nick: str
    session_id: str
    folder: Path
    metadata: dict[str, Any]
    encoder: asyncio.subprocess.Process | None = None
    progress: asyncio.Task[None] | None = None


class Recorder(Component):
    """The component of the hidden domain; one recorder."""

    def __init__(self, values: dict[str, Any]) -> None:
        super().__init__(
            names.RECORDER_DOMAIN,
            secret=values["secret"],
            port=values["port"],
            connected_file=Path(values["connected_file"]),
        )
        self._folder = Path(values["recordings"])
        # While this file is there, starting fails as with a browser that does not come up.
        self._broken_file = Path(values["broken_file"])
        self._finalize: str = values["finalize"]
        self._finalize_settings: dict[str, str] = values["finalize_settings"]
        self._sweeping: asyncio.Task[None] | None = None
        self._control = f"jibri@{names.RECORDER_DOMAIN}/{secrets.token_hex(4)}"
        self._work: Work | None = None
        self._stopping: asyncio.Task[None] | None = None
        self.register_handler(
            CoroutineCallback("jibri", MatchXPath(f"{{{STREAM}}}iq/{JIBRI}"), self._on_order)
        )
        self.register_handler(
            CoroutineCallback("presence", MatchXPath(f"{{{STREAM}}}presence"), self._on_presence)
        )

    async def end(self) -> None:
        """Be gone as a recorder is whose machine was switched off: the server says goodbye for it,
        nothing is finished, and the script does not run."""
        work, self._work = self._work, None
        if self._sweeping is not None:
            self._sweeping.cancel()
        if work is not None:
            self._leave(work)
        self.make_presence(
            pto=f"{names.BREWERY}/{JID(self._control).resource}",
            pfrom=self._control,
            ptype="unavailable",
        ).send()
        if work is not None and work.encoder is not None:
            work.encoder.kill()
        await super().end()

    def when_connected(self) -> None:
        """Show that there is a recorder, and look for what an earlier one left."""
        self._show_status("idle", enters=True)
        if self._sweeping is None and self._finalize:
            self._sweeping = self.loop.create_task(self._sweep())

    def when_lost(self) -> None:
        """A recorder without its server ends what it records."""
        self._stopping = self.loop.create_task(self._finish(None))

    def _show_status(self, status: str, *, enters: bool = False) -> None:
        presence = self.make_presence(
            pto=f"{names.BREWERY}/{JID(self._control).resource}", pfrom=self._control
        )
        if enters:
            presence.append(ET.Element(MUC_JOIN))
        shown = ET.SubElement(presence.xml, RECORDER_STATUS)
        ET.SubElement(shown, BUSY, status=status)
        ET.SubElement(shown, HEALTH, status="healthy")
        presence.send()

    # --- the focus' orders

    async def _on_order(self, iq: StanzaBase) -> None:
        if not isinstance(iq, Iq) or iq["type"] != "set":
            return
        order = order_in(iq)
        reply = iq.reply()
        reply.append(ET.Element(JIBRI, status="pending"))
        reply.send()
        if order.get("action") == "start" and self._work is None:
            await self._begin(order)
        elif order.get("action") == "stop":
            await self._finish(None)

    async def _begin(self, order: ET.Element) -> None:
        room, session_id = JID(order.get("room", "")).bare, order.get("session_id", "")
        folder = self._folder / re.sub(r"[^A-Za-z0-9_-]", "_", session_id)
        data = json.loads(order.get("app_data") or "{}").get("file_recording_metadata", {})
        self._work = Work(room, secrets.token_hex(4), session_id, folder, data)
        self._show_status("busy")
        if self._broken_file.exists():
            await self._finish("error")
            return
        presence = self.make_presence(
            pto=f"{room}/{self._work.nick}", pfrom=f"{names.RECORDER_USER}/{self._work.nick}"
        )
        presence.append(ET.Element(MUC_JOIN))
        features = ET.SubElement(presence.xml, FEATURES)
        # Without it lib-jitsi-meet breaks when the recorder leaves.
        ET.SubElement(features, FEATURE, var=NS)
        ET.SubElement(presence.xml, f"{{{STREAM}}}session_id").text = session_id
        ET.SubElement(presence.xml, f"{{{STREAM}}}mode").text = "file"
        presence.send()

    async def _on_presence(self, presence: StanzaBase) -> None:
        who, kind = presence["from"], presence.xml.get("type")
        if who.bare == names.BREWERY and who.resource == JID(self._control).resource:
            self.connected_file.touch()
            return
        work = self._work
        if work is None or who.full != f"{work.room}/{work.nick}":
            return
        if kind is None and work.encoder is None:
            await self._record(work)
        elif kind == "error":
            await self._finish("error")
        elif kind == "unavailable":  # put out, or the room is gone
            await self._finish(None)

    # --- the recording

    async def _record(self, work: Work) -> None:
        work.folder.mkdir(parents=True, exist_ok=True)
        name = f"{JID(work.room).node}_{utc_now():%Y-%m-%d-%H-%M-%S}.mp4"
        work.encoder = await asyncio.create_subprocess_exec(
            *FFMPEG,
            str(work.folder / name),
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
        )
        log.info("recording %s", work.session_id)
        work.progress = self.loop.create_task(self._follow(work, work.encoder))

    async def _follow(self, work: Work, encoder: asyncio.subprocess.Process) -> None:
        """Say that it records once there is a picture, and read what the encoder says to its
        end."""
        assert encoder.stdout is not None
        is_told = False
        async for line in encoder.stdout:
            name, _, value = line.decode().strip().partition("=")
            if name == "frame" and value != "0" and not is_told and self._work is work:
                is_told = True
                self._tell(work, "on")

    async def _finish(self, failure: str | None) -> None:
        work, self._work = self._work, None
        if work is None:
            return
        self._leave(work)
        self._tell(work, "off", failure)
        if work.encoder is not None:
            await end_encoder(work)
            await self._hand_over(work)
        self._show_status("idle")

    def _leave(self, work: Work) -> None:
        address = f"{names.RECORDER_USER}/{work.nick}"
        self.make_presence(
            pto=f"{work.room}/{work.nick}", pfrom=address, ptype="unavailable"
        ).send()

    async def _hand_over(self, work: Work) -> None:
        facts = {
            "meeting_url": f"https://{names.DOMAIN}/{JID(work.room).node}",
            "participants": [],
            **work.metadata,
        }
        (work.folder / "metadata.json").write_text(json.dumps(facts))
        log.info("recorded %s", work.session_id)
        if self._finalize:
            log.info("finalize script ended with %s", await self._run(str(work.folder)))

    async def _sweep(self) -> None:
        """Do what `finalize --watch` does beside a real recorder."""
        while True:
            await self._run("--sweep")
            await asyncio.sleep(SWEEP_EVERY_S)

    async def _run(self, word: str) -> int:
        script = await asyncio.create_subprocess_exec(
            self._finalize, word, env={**os.environ, **self._finalize_settings}
        )
        try:
            return await script.wait()
        finally:
            if script.returncode is None:
                script.kill()

    def _tell(self, work: Work, status: str, failure: str | None = None) -> None:
        iq = self.make_iq_set(ito=f"{names.FOCUS_USER}/{names.FOCUS_NICK}", ifrom=self._control)
        child = ET.Element(JIBRI, status=status, session_id=work.session_id, room=work.room)
        if failure:
            child.set("failure_reason", failure)
            child.set("should_retry", "true")
        iq.append(child)
        self.send_raw(str(iq))


async def end_encoder(work: Work) -> None:
    """Have the encoder finish its file."""
    encoder, progress = work.encoder, work.progress
    if encoder is None or encoder.stdin is None or progress is None:
        return
    with suppress(ConnectionError):  # it has ended by itself
        encoder.stdin.write(b"q")
        await encoder.stdin.drain()
        encoder.stdin.close()
    await progress
    await encoder.wait()


async def begin(values: dict[str, Any]) -> None:
    """Serve with these values; slixmpp wants to be made inside the loop it runs in."""
    await serve(Recorder(values))


def main() -> None:
    """Read the configuration file named on the command line and serve."""
    log_to_stderr()
    asyncio.run(begin(json.loads(Path(sys.argv[1]).read_text())))


if __name__ == "__main__":
    main()
