"""The ledger: who was asked what, and what they said. Written only here, and only ever added to.

Every act is an event and an entry of the audit log, which is how it comes into the audit chain.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, func, select
from sqlalchemy.orm import Session

from app.audit.service import Actor
from app.consents.models import Consent
from app.consents.texts import Text, current
from app.ids import new_id
from app.participants import service as participants
from app.participants.models import Participant

MISSING, GIVEN = "missing", "given"


@dataclass(frozen=True, slots=True)
class Standing:
    """Where one person stands: `missing`, `given`, `refused` or `withdrawn`; and by which act, None
    when they never said anything."""

    person: Participant
    state: str
    act: Consent | None

    def shown(self) -> dict[str, Any]:
        """Return it as the API shows it."""
        return {
            "participant_id": self.person.id,
            "role": self.person.role,
            "reference": self.person.reference,
            "state": self.state,
            "since": self.act and self.act.at,
        }


def standings(db: Session, *, session_id: UUID, purpose: str) -> list[Standing]:
    """Return where everybody of a session stands who was not removed, in order of invitation."""
    people = db.scalars(
        select(Participant)
        .where(Participant.session_id == session_id, Participant.state != "removed")
        .order_by(Participant.created_at, Participant.id)
    ).all()
    if not people:
        return []
    words = _last_words(db, session_id, purpose)
    texts = {text.sha256 for text in current(db, people[0].organisation_id, purpose).values()}
    return [
        Standing(person, _state(words.get(person.id), texts), words.get(person.id))
        for person in people
    ]


def standing_of(db: Session, person: Participant, *, purpose: str) -> Standing:
    """Return where one person stands."""
    word = db.scalars(
        _of(person.id, purpose)
        .where(Consent.act != "asked")
        .order_by(Consent.number.desc())
        .limit(1)
    ).first()
    texts = {text.sha256 for text in current(db, person.organisation_id, purpose).values()}
    return Standing(person, _state(word, texts), word)


def acts(db: Session, *, session_id: UUID) -> list[Consent]:
    """Return all that happened in a session, in order."""
    query = select(Consent).where(Consent.session_id == session_id)
    return list(db.scalars(query.order_by(Consent.at, Consent.number, Consent.id)))


def last_act(db: Session, *, participant_id: UUID, purpose: str) -> Consent | None:
    """Return the last line about a person, a question included."""
    last_first = _of(participant_id, purpose).order_by(Consent.number.desc())
    return db.scalars(last_first.limit(1)).first()


def has_given(db: Session, *, participant_id: UUID, purpose: str) -> bool:
    """Tell whether a person ever agreed, whatever they said since."""
    given = _of(participant_id, purpose).where(Consent.act == GIVEN)
    return db.scalars(given.limit(1)).first() is not None


def was_asked(db: Session, standing: Standing, text: Text) -> bool:
    """Tell whether a person was asked with this text since they last said something."""
    since = standing.act.number if standing.act else 0
    asked = _of(standing.person.id, text.purpose).where(
        Consent.act == "asked", Consent.text_sha256 == text.sha256, Consent.number > since
    )
    return db.scalars(asked.limit(1)).first() is not None


def write(
    db: Session,
    person: Participant,
    *,
    act: str,
    text: Text,
    channel: str,
    actor: Actor,
    now: datetime,
) -> Consent:
    """Add one act, unless it is the last one already. The session is locked.

    Args:
        channel: how it happened: `page`, `link`, `room`, `api`, `paper` or `phone`.
    """
    before = last_act(db, participant_id=person.id, purpose=text.purpose)
    if before is not None and (before.act, before.text_sha256) == (act, text.sha256):
        return before
    row = Consent(
        id=new_id(),
        organisation_id=person.organisation_id,
        session_id=person.session_id,
        participant_id=person.id,
        purpose=text.purpose,
        number=before.number + 1 if before else 1,
        act=act,
        channel=channel,
        language=text.language,
        text_version=text.version,
        text_sha256=text.sha256,
        actor_kind=actor.kind,
        actor_id=actor.id,
        at=now,
    )
    db.add(row)
    db.flush()
    participants.tell(
        db,
        person,
        f"consent.{act}",
        actor=actor,
        now=now,
        purpose=text.purpose,
        consent_channel=channel,
        language=text.language,
        text_sha256=text.sha256,
    )
    return row


def _of(participant_id: UUID, purpose: str) -> Select[Consent]:
    return select(Consent).where(
        Consent.participant_id == participant_id, Consent.purpose == purpose
    )


def _last_words(db: Session, session_id: UUID, purpose: str) -> Mapping[UUID, Consent]:
    """Return what each person said last; questions are no answers."""
    said = (
        select(Consent.participant_id, func.max(Consent.number).label("number"))
        .where(Consent.session_id == session_id, Consent.purpose == purpose, Consent.act != "asked")
        .group_by(Consent.participant_id)
        .subquery()
    )
    rows = db.scalars(
        select(Consent)
        .join(
            said,
            (Consent.participant_id == said.c.participant_id) & (Consent.number == said.c.number),
        )
        .where(Consent.purpose == purpose)
    )
    return {row.participant_id: row for row in rows}


def _state(word: Consent | None, current_texts: Collection[str]) -> str:
    if word is None or (word.act == GIVEN and word.text_sha256 not in current_texts):
        return MISSING
    return word.act
