"""What Prosody's modules call. Not part of the public API: keep /internal off the internet."""

import re
from typing import Any

from flask import Blueprint

from app.clock import utc_now
from app.rooms import admission, presence
from app.rooms.schemas import BatchIn, QuestionsIn
from app.rooms.signed import signed
from app.services import Services
from app.web.direct import Call, Door, behind_flask
from app.web.signed import read
from app.web.transactions import repeatable

QUESTIONS = QuestionsIn()
BATCH = BatchIn()


@signed
def ask(services: Services, call: Call) -> dict[str, Any]:
    """Answer for several people, in this order, whether each may enter a room now."""
    asked = read(QUESTIONS, call.body)["questions"]
    return {"answers": admission.answers(services, asked, now=utc_now())}


@signed
def tell(services: Services, call: Call) -> dict[str, Any]:
    """Take in what happened in the rooms; a repeat changes nothing."""
    batch = read(BATCH, call.body)

    def take() -> int:
        with services.database.begin() as db:
            return presence.record(
                db, source=batch["source"], events=batch["events"], now=utc_now()
            )

    return {"accepted": repeatable(take)}


HANDLERS = {"/internal/rooms/admission": ask, "/internal/rooms/events": tell}
DOORS = tuple(
    Door(rule, re.compile(re.escape(rule)), handler) for rule, handler in HANDLERS.items()
)

blp = Blueprint("rooms", __name__)
for rule, handler in HANDLERS.items():
    blp.post(rule)(behind_flask(handler))
