"""Removing a person in front of Flask: whoever is to be out of the room is to be out now."""

import re
from http import HTTPStatus
from uuid import UUID

import orjson

from app.audit.service import Actor
from app.clock import utc_now
from app.moderation import service
from app.participants.schemas import ParticipantOut
from app.rooms import commands
from app.rooms.removal import Removal
from app.services import Services
from app.web import limits
from app.web.auth import program_of
from app.web.direct import Answer, Call, Door
from app.web.transactions import repeatable
from app.web.versions import etag

SHOWN = ParticipantOut()
# Each asks for more than a removal.
MORE = ("Idempotency-Key", "Origin")
AN_ID = "[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}"


def remove_person(
    services: Services, call: Call, *, session_id: str, participant_id: str
) -> Answer | None:
    """Remove a person for good on behalf of a program, exactly as `DELETE` behind Flask does.

    What that would refuse, or do otherwise, is left to it; it may then have been counted twice.
    """
    caller = program_of(services, call.headers, "participants:write")
    if caller is None or any(name in call.headers for name in MORE):
        return None
    allowance = limits.counted(services, caller.subject)
    if allowance is not None and allowance.is_exceeded:
        return None
    now = utc_now()
    removal = Removal(
        organisation_id=caller.organisation_id,
        session_id=UUID(session_id),
        participant_id=UUID(participant_id),
        actor=Actor(caller.kind, caller.subject),
        now=now,
        reason=service.REMOVED,
    )
    made = repeatable(lambda: removal.attempted(services.database))
    if made is None:
        return None
    participant, order = made
    given = commands.give(services, order)
    body = orjson.dumps(SHOWN.dump(participant), option=orjson.OPT_SORT_KEYS)
    left = () if allowance is None else limits.told("caller", allowance)
    is_out = given.confirm(services, now=now)
    status = HTTPStatus.OK if is_out else HTTPStatus.ACCEPTED
    return Answer(body, (("ETag", etag(participant.version)), *left), status)


REMOVAL = Door(
    "/sessions/<uuid:session_id>/participants/<uuid:participant_id>",
    re.compile(f"/sessions/(?P<session_id>{AN_ID})/participants/(?P<participant_id>{AN_ID})"),
    remove_person,
    "DELETE",
)
