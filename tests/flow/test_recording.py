"""Recordings on the whole stack: no recorder gets into a room in which somebody has not agreed,
whoever asks for it; and what happens to a recording is seen from outside."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from email import message_from_bytes, policy
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from slixmpp.xmlstream.handler import Callback
from slixmpp.xmlstream.matcher import MatchXPath
from slixmpp.xmlstream.stanzabase import StanzaBase
from sqlalchemy import select, text, update

from app.clock import utc_now
from app.consents.texts import ours
from app.events.models import Event
from app.ids import new_id
from app.localstack import names
from app.localstack.component import STREAM, Component
from app.localstack.recorder import Recorder, Work
from app.ports import RoomOrder
from app.recordings.models import Recording
from app.sessions.models import CareSession
from tests.flow.clinic import AUDITED_WITHIN_S, Clinic, Guest, until
from tests.flow.xmpp_client import JABBER, Refused, Stanza, XmppClient, logged_in, room_jid

NS = "http://jitsi.org/protocol/jibri"
STATUS = f"{{{NS}}}jibri-recording-status"
START = f'<jibri xmlns="{NS}" action="start" recording_mode="file"/>'
STOP = f'<jibri xmlns="{NS}" action="stop" recording_mode="file"/>'
MAIL = "sam@example.org"
TEXT = ours("recording", "en")
STOPS_WITHIN_S = 2.0
FINISHED_WITHIN_S = 15.0
# A folder has to be quiet first.
FOUND_WITHIN_S = 45.0


class Call:
    """A doctor and a patient in a room, with clients of their own making."""

    def __init__(self, clinic: Clinic, doctor: Guest, patient: Guest) -> None:
        self.clinic, self.doctor, self.patient = clinic, doctor, patient
        self.clients: dict[str, XmppClient] = {}

    @property
    def room(self) -> str:
        """The room's name."""
        return self.doctor.room

    async def say(self, who: Guest, act: str) -> None:
        """Answer as a page does."""
        body = {"act": act, "text_sha256": TEXT.sha256}
        await asyncio.to_thread(self.clinic.answer, who, body)

    async def agree(self) -> None:
        """Let both agree."""
        for who in (self.doctor, self.patient):
            await self.say(who, "given")

    async def ask(self, who: Guest, child: str) -> Stanza:
        """Ask the focus for something."""
        return await self.clients[who.id].ask("set", room_jid(self.room, names.FOCUS_NICK), child)

    async def refused(self, who: Guest, child: str) -> str:
        """Ask for something that is refused, and return the code."""
        with pytest.raises(Refused) as caught:
            await self.ask(who, child)
        return caught.value.code or caught.value.condition

    async def hears(self, status: str, failure: str | None = None, came: int = 0) -> None:
        """Wait until the focus' presence says so to the patient."""

        def is_it(stanza: Stanza) -> bool:
            child = stanza.find(STATUS)
            return (
                child is not None
                and child.get("status") == status
                and child.get("failure_reason") == failure
            )

        await self.clients[self.patient.id].until(is_it, came)

    async def stands(
        self, state: str, reason: str | None = None, within_s: float = FINISHED_WITHIN_S
    ) -> None:
        """Wait until the newest recording stands there."""
        path = f"/sessions/{self.doctor.session['id']}/recordings"
        seen: list[Any] = []

        def is_there() -> bool:
            items = self.clinic.hospital.call("GET", path).json()["items"]
            seen[:] = [(one["state"], one["reason"]) for one in items]
            return bool(seen) and seen[0] == (state, reason)

        assert await asyncio.to_thread(until, is_there, within_s), seen

    async def record(self, **body: Any) -> str:
        """Ask for a recording over REST, and return its id."""
        path = f"/sessions/{self.doctor.session['id']}/recordings"
        answer = await asyncio.to_thread(self.clinic.hospital.call, "POST", path, json=body)
        assert answer.status_code == 202, answer.text
        return str(answer.json()["id"])

    async def runs(self) -> str:
        """Let it be recorded."""
        await self.agree()
        recording = await self.record()
        await self.stands("active")
        return recording

    def events(self) -> list[str]:
        """What was told of recordings, in order."""
        mine = Event.session_id == UUID(self.doctor.session["id"])
        query = select(Event.type).where(mine, Event.type.like("recording.%"))
        with self.clinic.services.database.begin() as db:
            return list(db.scalars(query.order_by(Event.sequence)))


@asynccontextmanager
async def call(clinic: Clinic) -> AsyncIterator[Call]:
    """Two people in a room, and the service knows it."""
    doctor = await asyncio.to_thread(clinic.guest, "doctor")
    patient = await asyncio.to_thread(clinic.guest, "patient", doctor.session, email=MAIL)
    made = Call(clinic, doctor, patient)
    async with AsyncExitStack() as inside:
        for who in (doctor, patient):
            client = await inside.enter_async_context(logged_in(clinic.port, who.token))
            made.clients[who.id] = await client.enter(made.room)

        def are_inside() -> bool:
            return len(clinic.hospital.read(doctor.session)["present"]) == 2

        assert await asyncio.to_thread(until, are_inside, AUDITED_WITHIN_S)
        yield made


def play(clinic: Clinic, story: Callable[[Call], Any]) -> None:
    """Play a story in a call of its own."""

    async def run() -> None:
        async with call(clinic) as made:
            await story(made)

    asyncio.run(run())


def test_no_crafted_stanza_starts_a_recorder(clinic: Clinic) -> None:
    """A patient's, a moderator's without consents, a broadcast; each on record."""

    async def story(made: Call) -> None:
        since = utc_now()
        assert await made.refused(made.patient, START) == "recording-not-allowed"
        assert await made.refused(made.doctor, START) == "consent-missing"
        broadcast = START.replace('"file"', '"stream" streamid="rtmp://elsewhere.example/x"')
        assert await made.refused(made.doctor, broadcast) == "not-offered"
        await made.stands("requested", "consent_missing")
        await made.say(made.patient, "refused")
        await made.stands("failed", "consent_refused")
        assert await made.refused(made.doctor, START) == "consent-refused"
        for code in ("recording-not-allowed", "consent-missing", "consent-refused", "not-offered"):
            await asyncio.to_thread(clinic.audited, since, code=code)
        assert not any(s.find(STATUS) is not None for s in made.clients[made.patient.id].seen)

    play(clinic, story)


def test_a_recording_from_the_wish_to_the_file(clinic: Clinic) -> None:
    """Asked first, started when all agree, shown by the focus, stopped in the call, a real MP4."""

    async def story(made: Call) -> None:
        await made.record(ask_first=True)
        await made.stands("requested", "consent_missing")
        await made.agree()
        await made.hears("pending")
        await made.hears("on")
        await made.stands("active")
        assert (await made.ask(made.doctor, STOP)).get("type") == "result"
        await made.hears("off")
        await made.stands("available")
        told = [t.removeprefix("recording.") for t in made.events()]
        assert told == [
            "requested", "waiting", "starting", "started", "stopping", "stopped",
            "file_registered", "file_available", "available",
        ]  # fmt: skip
        await asyncio.to_thread(holds_a_file, clinic, made)

    play(clinic, story)


def holds_a_file(clinic: Clinic, made: Call) -> None:
    """See what the recorder handed over, and that it has nothing any more."""
    path = f"/sessions/{made.doctor.session['id']}/recordings"
    (recording,) = clinic.hospital.call("GET", path).json()["items"]
    (file,) = recording["files"]
    assert (file["state"], file["findings"], file["is_partial"]) == ("available", [], False)
    assert (file["video_codec"], file["audio_codec"], file["width"]) == ("h264", "aac", 320)
    folders = clinic.stack.recorder.recordings
    assert until(lambda: not list(folders.glob(f"*/{made.room}_*")), FINISHED_WITHIN_S)


def test_what_a_recorder_left_that_was_switched_off_is_found(clinic: Clinic) -> None:
    """As a part that ends somewhere; this one before its index, so nothing can be made of it."""

    async def story(made: Call) -> None:
        await made.runs()
        files = clinic.stack.recorder.recordings.glob

        def is_written() -> bool:
            return any(path.stat().st_size for path in files(f"*/{made.room}_*.mp4"))

        assert await asyncio.to_thread(until, is_written, FINISHED_WITHIN_S)
        await asyncio.to_thread(clinic.stack.recorder.stop)
        await made.stands("processing", "recorder_failed")
        await asyncio.to_thread(clinic.stack.recorder.start)
        await made.stands("failed", "media_unreadable", FOUND_WITHIN_S)
        path = f"/sessions/{made.doctor.session['id']}/recordings"
        (recording,) = (await asyncio.to_thread(clinic.hospital.call, "GET", path)).json()["items"]
        (file,) = recording["files"]
        assert (file["state"], file["is_partial"]) == ("failed", True)
        assert file["findings"] == ["metadata_missing"]
        assert await asyncio.to_thread(
            until, lambda: not list(files(f"*/{made.room}_*")), FINISHED_WITHIN_S
        )

    try:
        play(clinic, story)
    finally:
        clinic.stack.recorder.restart()


def test_no_recorder_comes_in_that_nobody_allowed(clinic: Clinic, tmp_path: Path) -> None:
    """Whatever made it try: its own HTTP interface, or Jicofo's retry after a stop."""
    secret, port = clinic.stack.secrets.recorder, clinic.stack.ports["prosody_component"]

    async def story(made: Call) -> None:
        since, answers = utc_now(), asyncio.Queue[Any]()
        recorder = Component(
            names.RECORDER_DOMAIN, secret=secret, port=port, connected_file=tmp_path / "connected"
        )
        recorder.register_handler(
            Callback("presence", MatchXPath(f"{{{STREAM}}}presence"), answers.put_nowait)
        )
        ready = asyncio.Event()
        recorder.add_event_handler("session_start", lambda _: ready.set())
        recorder.connect()
        async with asyncio.timeout(FINISHED_WITHIN_S):
            await ready.wait()
            recorder.send_raw(
                f"<presence from='{names.RECORDER_USER}/x' to='{room_jid(made.room, 'abcdef01')}'>"
                "<x xmlns='http://jabber.org/protocol/muc'/></presence>"
            )
            answer = await answers.get()
        assert answer["type"] == "error"
        assert answer["error"]["text"].startswith("recording-not-allowed: ")
        await recorder.end()
        await asyncio.to_thread(clinic.audited, since, code="recording-not-allowed")

    clinic.stack.recorder.stop()
    try:
        play(clinic, story)
    finally:
        clinic.stack.recorder.start()


class Stubborn(Recorder):
    """A recorder that enters the room, says of its recording only what it is told to say, and stays
    until it is put out."""

    def __init__(self, clinic: Clinic, folder: Path, *says: str) -> None:
        super().__init__(
            {
                "secret": clinic.stack.secrets.recorder,
                "port": clinic.stack.ports["prosody_component"],
                "connected_file": folder / "connected",
                "recordings": folder,
                "broken_file": folder / "broken",
                "finalize": "",
                "finalize_settings": {},
            }
        )
        self._says = says
        self.is_inside, self.is_out = asyncio.Event(), asyncio.Event()

    async def _record(self, work: Work) -> None:
        self.is_inside.set()
        self._tell(work, *self._says)

    async def _finish(self, failure: str | None) -> None:
        """Hear the stop, and go on."""

    async def _on_presence(self, presence: StanzaBase) -> None:
        is_own = self._work is not None and presence["from"].resource == self._work.nick
        if is_own and presence.xml.get("type") == "unavailable":
            self.is_out.set()
        await super()._on_presence(presence)


@asynccontextmanager
async def stubborn(clinic: Clinic, folder: Path, *says: str) -> AsyncIterator[Stubborn]:
    """Such a recorder in the place of the stack's."""
    await asyncio.to_thread(clinic.stack.recorder.stop)
    try:
        recorder = Stubborn(clinic, folder, *says)
        recorder.connect()
        there = folder / "connected"
        assert await asyncio.to_thread(until, there.exists, FINISHED_WITHIN_S)
        yield recorder
        await recorder.end()
    finally:
        await asyncio.to_thread(clinic.stack.recorder.start)


def test_a_recorder_that_failed_does_not_stay_in_the_room(clinic: Clinic, tmp_path: Path) -> None:
    """The focus has given it up, and it is inside still: it may be recording."""

    async def story(made: Call) -> None:
        async with stubborn(clinic, tmp_path, "off", "error") as recorder:
            await made.agree()
            await made.record()
            async with asyncio.timeout(FINISHED_WITHIN_S):
                await recorder.is_inside.wait()
                await recorder.is_out.wait()
            await made.stands("failed", "recorder_failed")

    play(clinic, story)


def test_a_stop_is_over_when_the_room_says_so(clinic: Clinic, tmp_path: Path) -> None:
    """Whatever the recorder and the focus say, or do not: it is out and the door is shut."""

    async def story(made: Call) -> None:
        async with stubborn(clinic, tmp_path, "on") as recorder:
            await made.runs()
            await made.say(made.patient, "withdrawn")
            async with asyncio.timeout(STOPS_WITHIN_S):
                await recorder.is_out.wait()
            await made.stands("processing", "consent_withdrawn")

    play(clinic, story)


def test_a_stop_overtakes_a_start(clinic: Clinic) -> None:
    """It comes while the room waits for the word that it may begin: then it does not."""

    async def story(made: Call) -> None:
        await made.agree()
        session_id = UUID(made.doctor.session["id"])
        with clinic.services.database.begin() as db:
            db.execute(select(CareSession.id).where(CareSession.id == session_id).with_for_update())
            asking = asyncio.create_task(made.refused(made.doctor, START))
            assert await asyncio.to_thread(until, is_waited_for, FINISHED_WITHIN_S)
            args = {"room": made.room, "recording_id": str(new_id())}
            order = RoomOrder(new_id(), "record_stop", args)
            execute = clinic.services.rooms.execute
            assert (await asyncio.to_thread(execute, order, timeout_s=2))["present"]
        assert await asking == "not-requested"
        await made.stands("requested", "unavailable")
        await made.stands("active")

    def is_waited_for() -> bool:
        with clinic.services.database.begin() as db:
            waits = "SELECT count(*) FROM pg_locks WHERE NOT granted"
            return bool(db.scalar(text(waits)))

    play(clinic, story)


def test_the_door_does_not_rely_on_what_the_service_believes(clinic: Clinic) -> None:
    """It believes that the recording is over, but the recorder is there."""

    async def story(made: Call) -> None:
        recording = await made.runs()
        nurse = await asyncio.to_thread(clinic.guest, "nurse", made.doctor.session)
        with clinic.services.database.begin() as db:
            mine = update(Recording).where(Recording.id == UUID(recording))
            db.execute(mine.values(state="processing"))
        async with logged_in(clinic.port, nurse.token) as late:
            await late.request_conference(made.room)
            with pytest.raises(Refused) as caught:
                await late.join(made.room)
            assert (caught.value.condition, caught.value.code) == (
                "registration-required",
                "consent-missing",
            )
            await made.say(nurse, "given")
            await late.enter(made.room)

    play(clinic, story)


def test_withdrawal_stops_it_at_once(clinic: Clinic) -> None:
    """The recorder is out of the room within the deadline."""

    async def story(made: Call) -> None:
        await made.runs()
        client = made.clients[made.patient.id]
        came = len(client.seen)
        async with asyncio.timeout(STOPS_WITHIN_S):
            await made.say(made.patient, "withdrawn")
            await client.until(is_gone, came)
        await made.stands("available", "withheld")

    def is_gone(stanza: Stanza) -> bool:
        item = stanza.find(".//{http://jabber.org/protocol/muc#user}item")
        who = item.get("jid", "") if item is not None else ""
        is_recorder = who.partition("/")[0] == names.RECORDER_USER
        return (
            stanza.tag == f"{JABBER}presence"
            and is_recorder
            and (stanza.get("type") == "unavailable")
        )

    play(clinic, story)


def test_who_comes_to_a_recorded_room_agrees_first(clinic: Clinic) -> None:
    """Prosody says so, and the lobby's address is where a Jitsi client waits for it."""

    async def story(made: Call) -> None:
        await made.runs()
        nurse = await asyncio.to_thread(clinic.guest, "nurse", made.doctor.session)
        async with logged_in(clinic.port, nurse.token) as late:
            await late.request_conference(made.room)
            with pytest.raises(Refused) as caught:
                await late.join(made.room)
            assert (caught.value.condition, caught.value.code) == (
                "registration-required",
                "consent-missing",
            )
            await made.say(nurse, "given")
            await late.enter(made.room)
        await made.stands("active")

    play(clinic, story)


def test_a_second_recording_waits_for_the_recorder(clinic: Clinic) -> None:
    """Busy; then its turn comes by itself."""

    async def story(made: Call) -> None:
        await made.runs()
        async with call(clinic) as other:
            await other.agree()
            await other.record()
            await other.stands("requested", "busy")
            await made.ask(made.doctor, STOP)
            await other.stands("active")

    play(clinic, story)


def test_a_recorder_that_breaks_is_told(clinic: Clinic) -> None:
    """At the start, and when it dies on the way."""

    async def story(made: Call) -> None:
        await made.agree()
        broken = clinic.stack.recorder.broken
        broken.touch()
        try:
            await made.record()
            await made.stands("failed", "recorder_failed")
        finally:
            broken.unlink()
        await made.record()
        await made.stands("active")
        await asyncio.to_thread(clinic.stack.recorder.stop)
        await made.stands("processing", "recorder_failed")
        assert "recording.recorder_lost" in made.events()
        await made.record()
        await made.stands("failed", "no_recorder")

    try:
        play(clinic, story)
    finally:
        if not clinic.stack.recorder.is_alive:
            clinic.stack.recorder.start()


def mail_text(path: Path) -> str:
    """Return the plain text of a mail."""
    parsed = message_from_bytes(path.read_bytes(), policy=policy.default)
    body = parsed.get_body(("plain",))
    return str(body.get_content()) if body is not None else ""


def test_who_joined_by_another_client_is_asked_by_a_private_message(clinic: Clinic) -> None:
    """With their own link, and nobody else hears it."""

    async def story(made: Call) -> None:
        await made.say(made.doctor, "given")
        await made.record(ask_first=True)
        client = made.clients[made.patient.id]
        message = await client.until(lambda s: "/consent" in (s.findtext(f"{JABBER}body") or ""))
        said = message.findtext(f"{JABBER}body") or ""
        assert f"/j/{made.patient.code}/consent" in said
        assert message.get("type") == "chat"
        assert await asyncio.to_thread(until, mailed(made.patient), FINISHED_WITHIN_S)

    def mailed(guest: Guest) -> Callable[[], bool]:
        link = f"/j/{guest.code}/consent"
        return lambda: any(link in mail_text(path) for path in clinic.stack.mail.mails())

    play(clinic, story)
