"""Jitsi's file sharing as its client speaks it: the pass and the list over XMPP, bytes over HTTP.
Source: jitsi-meet, react/features/file-sharing/middleware.web.ts; lib-jitsi-meet, ChatRoom.ts."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4
from xml.sax.saxutils import escape

import requests

from app.localstack import names
from tests.flow.clinic import Clinic, Guest
from tests.flow.xmpp_client import Stanza, XmppClient, logged_in, room_jid

EXTDISCO = "urn:xmpp:extdisco:2"
DISCO = "http://jabber.org/protocol/disco#info"
JITMEET = "http://jitsi.org/jitmeet"
CREDENTIALS = (
    f'<credentials xmlns="{EXTDISCO}"><service host="file-sharing" type="short-lived-token"/>'
    "</credentials>"
)


@dataclass(frozen=True, slots=True)
class Sharer:
    """One person in a room, with a client that shares files."""

    clinic: Clinic
    guest: Guest
    client: XmppClient

    async def meeting(self) -> str:
        """Return what the room says is the meeting's id."""
        room = room_jid(self.guest.room)
        answer = await self.client.ask("get", room, f'<query xmlns="{DISCO}"/>')
        for field in answer.iter("{jabber:x:data}field"):
            if field.get("var") == "muc#roominfo_meetingId":
                return field.findtext("{jabber:x:data}value") or ""
        raise AssertionError("the room says nothing of its meeting")

    async def fetch_pass(self) -> str:
        """Ask the server for a pass.

        Raises:
            Refused: it gives none.
        """
        answer = await self.client.ask("get", names.DOMAIN, CREDENTIALS)
        service = answer.find(f".//{{{EXTDISCO}}}service")
        assert service is not None
        return service.attrib["password"]

    async def request(self, method: str, path: str = "", **options: Any) -> requests.Response:
        """Send a request about files, as in the room."""
        return await self.request_with(
            await self.fetch_pass(), await self.meeting(), method, path, **options
        )

    async def request_with(
        self, shown: str, meeting: str, method: str, path: str = "", **options: Any
    ) -> requests.Response:
        """Send a request with some pass and about some meeting."""
        url = f"{self.clinic.stack.api_url}/jitsi/documents/sessions/{meeting}/files{path}"
        options |= {"headers": {"Authorization": f"Bearer {shown}"}, "timeout": 30}
        return await asyncio.to_thread(requests.request, method, url, **options)

    async def share(self, content: bytes, *, name: str) -> str:
        """Share a file by the button; return its id."""
        file_id = str(uuid4())
        metadata = {"fileId": file_id, "fileName": name, "fileSize": len(content)}
        form = {"metadata": (None, json.dumps(metadata)), "file": (name, content)}
        answer = await self.request("POST", files=form)
        assert answer.status_code == 200, answer.text
        await self.say("add", content=json.dumps(metadata))
        return file_id

    async def say(self, kind: str, *, content: str = "", file_id: str = "") -> str:
        """Tell the component something; return the stanza's id."""
        name = str(uuid4())
        attributes = f' fileId="{file_id}"' if file_id else ""
        await self.client.send(
            f'<message to="{names.FILE_SHARING}" id="{name}">'
            f'<file-sharing xmlns="{JITMEET}" type="{kind}"{attributes}>{escape(content)}'
            "</file-sharing></message>"
        )
        return name

    async def hears(self, event: str, file_id: str) -> dict[str, Any]:
        """Wait until the component says this of a file."""

        def is_it(stanza: Stanza) -> bool:
            said = told(stanza)
            about = said.get("fileId") or said.get("file", {}).get("fileId")
            return (said.get("event"), about) == (event, file_id)

        return told(await self.client.until(is_it))

    def heard(self) -> list[tuple[str, str]]:
        """Return what the component has said so far: event and file."""
        return [
            (said["event"], said.get("fileId") or said["file"]["fileId"])
            for said in map(told, self.client.seen)
            if said
        ]

    async def catches_up(self) -> None:
        """Wait until all that was sent to them before has come."""
        await self.client.ask("get", names.DOMAIN, '<ping xmlns="urn:xmpp:ping"/>')


def told(stanza: Stanza) -> dict[str, Any]:
    """Return what the component says in a stanza."""
    if stanza.get("from") != names.FILE_SHARING:
        return {}
    text = stanza.findtext(f"{{{JITMEET}}}json-message")
    return dict(json.loads(text)) if text else {}


@asynccontextmanager
async def sharing(clinic: Clinic, *roles: str) -> AsyncIterator[list[Sharer]]:
    """People in a room of their own; the first opens it."""
    first = clinic.guest(roles[0])
    guests = [first, *(clinic.guest(role, first.session) for role in roles[1:])]
    async with AsyncExitStack() as inside:
        people = []
        for guest in guests:
            client = await inside.enter_async_context(logged_in(clinic.port, guest.token))
            people.append(Sharer(clinic, guest, await client.enter(first.room)))
        yield people
