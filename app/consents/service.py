"""Asking, answering, and the texts it is done with."""

from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import func, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.consents import ledger, texts
from app.consents.ledger import Standing
from app.consents.models import Consent, ConsentText
from app.consents.texts import Text
from app.errors import Conflict, Invalid
from app.ids import new_id
from app.participants import presence
from app.participants import service as participants
from app.ports import RoomOrder
from app.recordings import service as recordings
from app.rooms import recorders
from app.sessions import service as sessions


def answer(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    purpose: str,
    act: str,
    text_sha256: str,
    channel: str,
    actor: Actor,
    now: datetime,
) -> tuple[Consent, RoomOrder | None]:
    """Write down that a person gave, refused or withdrew their consent to the text with this hash.
    The same answer again changes nothing. A recording that waited for it starts, and one that it
    speaks against stops: the order is what the room must be told after the commit.

    Raises:
        NotFound: no such session or participant.
        Invalid: nobody was ever shown this text.
        Conflict: they were removed; the session is over; they agree to a text that does not count
            any more; or there is nothing to withdraw. Who gave their consent can withdraw it at any
            time, wherever they are.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    person = participants.get(
        db, organisation_id=organisation_id, session_id=session_id, participant_id=participant_id
    )
    if act != "withdrawn":
        participants.require_present(person)
        sessions.require_open(session)
    text = _text(db, organisation_id, purpose, text_sha256)
    has_given = ledger.has_given(db, participant_id=person.id, purpose=purpose)
    _require_sense(act, text, has_given=has_given)
    before = ledger.last_act(db, participant_id=person.id, purpose=purpose)
    row = ledger.write(db, person, act=act, text=text, channel=channel, actor=actor, now=now)
    # Who gave and now refuses takes it back, too.
    if act != "given" and has_given:
        recordings.mark_withdrawn(db, session, is_news=row is not before, now=now)
        return row, recordings.withdraw(db, session, actor=actor, now=now)
    return row, recordings.heed(db, session, actor=actor, now=now)


def ask(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    purpose: str,
    language: str,
    channel: str,
    actor: Actor,
    now: datetime,
) -> tuple[Standing, Text]:
    """Return where a person stands and the text they are asked with in their language; that it is
    shown to them is written down when they have not answered it yet. Where recordings yield to
    newcomers, theirs stops.

    Raises:
        NotFound: no such session or participant.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    person = participants.get(
        db, organisation_id=organisation_id, session_id=session_id, participant_id=participant_id
    )
    text = texts.current(db, organisation_id, purpose)[language]
    standing = ledger.standing_of(db, person, purpose=purpose)
    if standing.state == ledger.MISSING and not ledger.was_asked(db, standing, text):
        ledger.write(db, person, act="asked", text=text, channel=channel, actor=actor, now=now)
    if standing.state != ledger.GIVEN and participant_id not in presence.present(db, session_id):
        recorders.yield_to(db, session, participant_id=participant_id, now=now)
    return standing, text


def of_session(
    db: Session, *, organisation_id: UUID, session_id: UUID, actor: Actor, now: datetime
) -> dict[str, Any]:
    """Return where everybody stands, and every act in order. Reading is noted.

    Raises:
        NotFound: no such session.
    """
    sessions.get(db, organisation_id=organisation_id, session_id=session_id)
    audit.record(
        db,
        action="consents.read",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        session_id=session_id,
    )
    standings = [
        {"purpose": purpose, **one.shown()}
        for purpose in texts.PURPOSES
        for one in ledger.standings(db, session_id=session_id, purpose=purpose)
    ]
    return {"standings": standings, "acts": ledger.acts(db, session_id=session_id)}


def add_text(
    db: Session,
    *,
    organisation_id: UUID,
    purpose: str,
    language: str,
    text: str,
    actor: Actor,
    now: datetime,
) -> Text:
    """Put an organisation's own text in one language; whoever agreed to the one before is asked
    again. The text that counts already changes nothing."""
    before = texts.current(db, organisation_id, purpose)[language]
    if before.text == text:
        return before
    newest = select(func.max(ConsentText.version)).where(
        ConsentText.organisation_id == organisation_id,
        ConsentText.purpose == purpose,
        ConsentText.language == language,
    )
    row = ConsentText(
        id=new_id(),
        organisation_id=organisation_id,
        purpose=purpose,
        language=language,
        version=(db.scalar(newest) or texts.OURS) + 1,
        text=text,
        sha256=texts.digest(text),
        created_at=now,
    )
    db.add(row)
    db.flush()
    audit.record(
        db,
        action="consent_text.replaced",
        actor=actor,
        now=now,
        organisation_id=organisation_id,
        detail={
            "purpose": purpose,
            "language": language,
            "version": row.version,
            "text_sha256": row.sha256,
        },
    )
    return Text(purpose, language, row.version, row.text, row.sha256)


def _text(db: Session, organisation_id: UUID, purpose: str, sha: str) -> Text:
    text = texts.find(db, organisation_id, purpose, sha)
    if text is None:
        raise Invalid(
            "Nobody was ever shown a text with this hash; read the texts.",
            code="consent_text_unknown",
            field="text_sha256",
        )
    return text


def _require_sense(act: str, text: Text, *, has_given: bool) -> None:
    if act == "given" and not text.is_current:
        raise Conflict(
            "There is a newer text; show that one.",
            code="consent_text_outdated",
            field="text_sha256",
        )
    if act == "withdrawn" and not has_given:
        raise Conflict("There is no consent to withdraw.", code="consent_not_given")
