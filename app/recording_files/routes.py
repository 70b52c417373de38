"""`/internal/recorder/…`: what recorders say and send. Reached from inside only, like all of
`/internal/`; the finalize script is jitsi-config/jibri/finalize."""

from typing import Any

from flask import Blueprint, Response, request

from app.clock import utc_now
from app.files.turns import sending
from app.recording_files import registering, tickets
from app.recording_files.parts import RecordedBytes
from app.recording_files.registering import Told
from app.recording_files.schemas import ToldIn
from app.services import Services
from app.web import tus
from app.web.auth import now
from app.web.direct import Call, behind_flask
from app.web.services import current_services
from app.web.signed import Signers, read
from app.web.streaming import body_reader, takes_stream
from app.web.transactions import repeatable

internal = Blueprint("recorder", __name__, url_prefix="/internal/recorder")

TOLD = ToldIn()
signed = Signers(
    lambda settings: settings.recorder_secret,
    refused="recorder.signature_refused",
    code="recorder_signature_invalid",
)


@signed
def register_file(services: Services, call: Call) -> dict[str, Any]:
    """Take in what a recorder says of a file, and say how far it came."""
    call_id, told = call.headers["webhook-id"], Told(**read(TOLD, call.body))
    file = repeatable(lambda: registering.register(services, told, call_id=call_id, now=utc_now()))
    return registering.answer(file, services.settings, now=utc_now())


internal.post("/files")(behind_flask(register_file))


@internal.route("/uploads/<ticket>", methods=["PATCH"])
@takes_stream
def take_bytes(ticket: str) -> Response:
    """Take bytes from where the file ends."""
    offset, services = tus.sent_offset(), current_services()
    secrets = services.settings.api_token_secret
    file_id, organisation_id = tickets.read(ticket, secrets=secrets)
    bytes_ = RecordedBytes(
        services.database, services.storage, organisation_id=organisation_id, file_id=file_id
    )
    with sending(services.turns, file_id, body_reader()) as read_bytes:
        received = bytes_.append(
            read_bytes, offset=offset, length=request.content_length, now=now()
        )
    return tus.answer(204, **{"Upload-Offset": str(received)})
