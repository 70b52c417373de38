"""`/sessions/{id}/participants`, and what a personal link answers."""

import re
from typing import Any
from uuid import UUID

from flask import Response, request
from sqlalchemy import select
from sqlalchemy.orm import Session

from app.clock import utc_now
from app.db.base import columns_of
from app.participants import exchange, presence, service
from app.participants.models import Participant
from app.participants.schemas import (
    DoorOut,
    EntryOut,
    InvitedOut,
    LiveSessionOut,
    ParticipantIn,
    ParticipantOut,
    ParticipantPageOut,
    ParticipantQuery,
)
from app.services import Services
from app.sessions import service as sessions
from app.web.answers import json_answer
from app.web.auth import Caller, actor_of, now, requires
from app.web.blueprint import Blueprint
from app.web.direct import UNKEPT, Answer, Call, Door, as_json, behind_flask, refuse_body
from app.web.idempotency import idempotent
from app.web.limits import counting_guesses
from app.web.paging import Page, keyset_page
from app.web.services import current_services
from app.web.transactions import transactional
from app.web.versions import etag, with_etag

blp = Blueprint("participants", __name__, description="People in a session, and their links")


@blp.route("/sessions/<uuid:session_id>", methods=["GET"])
@transactional
@requires("sessions:read")
@blp.response(200, LiveSessionOut)
def read_session(session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Read a session with who is in its room right now."""
    session = sessions.get(db, organisation_id=caller.organisation_id, session_id=session_id)
    live = {**columns_of(session), "present": presence.present(db, session_id)}
    return live, {"ETag": etag(session.version)}


@blp.route("/sessions/<uuid:session_id>/participants", methods=["POST"])
@transactional
@requires("participants:write")
@idempotent
@blp.arguments(ParticipantIn)
@blp.response(201, InvitedOut)
def add_participant(body: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Invite one person, before or during the call. The answer shows their link, once."""
    invited = service.add(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        actor=actor_of(caller),
        settings=current_services().settings,
        now=now(),
        **body,
    )
    return invited.shown(current_services().settings), {"ETag": etag(invited.participant.version)}


@blp.route("/sessions/<uuid:session_id>/participants", methods=["GET"])
@transactional
@requires("participants:read")
@blp.arguments(ParticipantQuery, location="query")
@blp.response(200, ParticipantPageOut)
def list_participants(
    query: dict[str, Any], session_id: UUID, *, db: Session, caller: Caller
) -> Page[Participant]:
    """List the people of a session, newest first."""
    sessions.get(db, organisation_id=caller.organisation_id, session_id=session_id)
    cursor, limit = query.pop("cursor", None), query.pop("limit")
    theirs = select(Participant).where(Participant.session_id == session_id).filter_by(**query)
    return keyset_page(db, theirs, Participant, cursor=cursor, limit=limit)


@blp.route("/sessions/<uuid:session_id>/participants/<uuid:participant_id>", methods=["GET"])
@transactional
@requires("participants:read")
@blp.response(200, ParticipantOut)
def read_participant(session_id: UUID, participant_id: UUID, *, db: Session, caller: Caller) -> Any:
    """Read one person of a session."""
    participant = service.get(
        db,
        organisation_id=caller.organisation_id,
        session_id=session_id,
        participant_id=participant_id,
    )
    return with_etag(participant)


@counting_guesses
def exchange_link(services: Services, call: Call, code: str) -> Answer:
    """Exchange a personal link for a short-lived Jitsi token, or learn why to wait."""
    refuse_body(call.body)
    entry = exchange.exchange(services, code, address=call.address, now=utc_now())
    return Answer(as_json(entry), UNKEPT)


LINK_RULE = "/j/<string:code>/token"
LINK = Door(LINK_RULE, re.compile("/j/(?P<code>[a-z2-7]{1,64})/token"), exchange_link)
blp.route(LINK_RULE, methods=["POST"])(blp.response(200, EntryOut)(behind_flask(exchange_link)))


@blp.route("/j/<string:code>/state", methods=["GET"])
@blp.response(200, DoorOut)
def link_state(code: str) -> Response:
    """Tell whether the person behind a link may enter now."""
    address = request.remote_addr or ""
    return json_answer(exchange.state(current_services(), code, address=address, now=now()))
