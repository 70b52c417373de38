"""`/internal/rooms/files` and `/internal/rooms/file-pass`: what Prosody asks about files."""

from typing import Any

from flask import Blueprint

from app.clock import utc_now
from app.files import in_room, jitsi
from app.files.passes import Pass
from app.files.schemas import RoomFilesIn, RoomPassIn
from app.rooms.signed import signed
from app.services import Services
from app.web.direct import Call, behind_flask
from app.web.signed import read

blp = Blueprint("rooms-files", __name__, url_prefix="/internal/rooms")

LIST, PASS = RoomFilesIn(), RoomPassIn()


@signed
def list_in_room(services: Services, call: Call) -> dict[str, Any]:
    """Answer what Jitsi's list may show in a room, and to whom."""
    asked = read(LIST, call.body)
    with services.database.begin() as db:
        return {"files": in_room.listed(db, asked["room"], now=utc_now())}


@signed
def issue_pass(services: Services, call: Call) -> dict[str, Any]:
    """Issue a pass for somebody who is in the room, as Prosody knows. Whether they still are, and
    what they may do, is looked at when it is used."""
    asked = Pass(**read(PASS, call.body))
    with services.database.begin() as db:
        text, expires_at = jitsi.issue_pass(db, asked, settings=services.settings, now=utc_now())
    return {"pass": text, "expires_at": expires_at.timestamp()}


blp.post("/files")(behind_flask(list_in_room))
blp.post("/file-pass")(behind_flask(issue_pass))
