"""What Prosody's modules call. Not part of the public API: keep /internal off the internet."""

import re
from typing import Any

from flask import Blueprint

from app.clock import utc_now
from app.rooms import admission, presence
from app.rooms.schemas import BatchIn, QuestionIn
from app.rooms.signed import read, signed
from app.services import Services
from app.web.direct import Call, Door, behind_flask
from app.web.transactions import repeatable

QUESTION = QuestionIn()
BATCH = BatchIn()


@signed
def ask(services: Services, call: Call) -> dict[str, Any]:
    """Answer whether a person may enter a room now."""
    return admission.decide(services, read(QUESTION, call.body), now=utc_now())


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


DOORS = tuple(
    Door(rule, re.compile(re.escape(rule)), handler)
    for rule, handler in (("/internal/rooms/admission", ask), ("/internal/rooms/events", tell))
)

blp = Blueprint("rooms", __name__)
for door in DOORS:
    blp.post(door.rule)(behind_flask(door.handler))
