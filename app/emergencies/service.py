"""Break-glass: into an emergency at once and uninvited, with a reason that somebody reviews."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select, update
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.emergencies.models import EmergencyEntry
from app.errors import Conflict, DomainError, Forbidden, NotFound
from app.events import service as events
from app.ids import new_id
from app.organisations.models import Organisation
from app.participants import presence
from app.participants import service as participants
from app.participants.models import Participant
from app.participants.permissions import Permission, effective
from app.participants.service import Invited
from app.rooms import commands
from app.services import Services
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.sessions.states import State
from app.settings import Settings

# Said in the room, in the moderator's own language, and kept nowhere.
WARNING = {
    "en": "{name} ({role}) is entering this emergency uninvited. The reason is on record.",
    "de": "{name} ({role}) betritt diesen Notfall ohne Einladung. Der Grund ist festgehalten.",
    "fr": "{name} ({role}) entre dans cette urgence sans invitation. Le motif est enregistré.",
}
ROLE_WORDS = {
    "de": {
        "doctor": "Arzt/Ärztin", "nurse": "Pflege", "patient": "Patient/in",
        "paramedic": "Rettungsdienst", "interpreter": "Dolmetscher/in", "relative": "Angehörige/r",
        "observer": "Beobachter/in",
    },
    "fr": {
        "doctor": "médecin", "nurse": "soins", "patient": "patient", "paramedic": "secours",
        "interpreter": "interprète", "relative": "proche", "observer": "observateur",
    },
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Entered:
    """An entry, the person with their link, and who in the room is to be told what."""

    entry: EmergencyEntry
    invited: Invited
    room: str
    warnings: list[tuple[UUID, str]]


def enter(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    actor: Actor,
    settings: Settings,
    now: datetime,
    reason: str,
    role: str,
    display_name: str,
    locale: str,
    reference: str | None,
) -> Entered:
    """Give somebody a link to an emergency nobody invited them to. A planned one begins with it.

    Raises:
        NotFound: see `sessions.service.get`.
        Conflict: it is no emergency, or is over.
        Forbidden: this role may not enter uninvited (permission table).
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    _require_emergency(session)
    _require_permitted(db, session, role)
    if session.state == State.SCHEDULED:
        sessions.start(
            db, organisation_id=organisation_id, session_id=session_id, actor=actor, now=now
        )
    invited = participants.add(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        actor=actor,
        settings=settings,
        now=now,
        role=role,
        display_name=display_name,
        locale=locale,
        reference=reference,
    )
    entry = _store(db, session, invited.participant, reason=reason, actor=actor, now=now)
    warnings = [(p.id, _warning(p.locale, invited.participant)) for p in _moderators(db, session)]
    return Entered(entry, invited, session.room_name, warnings)


def warn(services: Services, entered: Entered) -> int:
    """Tell the moderators in the room, each in their language; return how many heard it.

    Said now or not at all: the event is what reaches the security team for certain.
    """
    told = 0
    for participant_id, text in entered.warnings:
        try:
            told += commands.say(
                services, room=entered.room, text=text, participant_id=participant_id
            )
        except DomainError:
            return told  # one silence is enough: the link must not wait for it
    return told


def review(
    db: Session,
    *,
    organisation_id: UUID,
    entry_id: UUID,
    outcome: str,
    note: str | None,
    actor: Actor,
    now: datetime,
) -> EmergencyEntry:
    """Sign an entry off. The same verdict again by the same reviewer changes nothing.

    Raises:
        NotFound: there is no such entry.
        Forbidden: whoever entered does not review it.
        Conflict: it was reviewed already.
    """
    entry = get(db, organisation_id=organisation_id, entry_id=entry_id)
    reviewer = _name(actor)
    if entry.entered_by == reviewer:
        raise Forbidden("Somebody else must review this entry.", code="own_entry")
    values = {"reviewed_at": now, "reviewed_by": reviewer, "outcome": outcome, "note": note}
    done = db.scalars(
        update(EmergencyEntry)
        .where(EmergencyEntry.id == entry_id, EmergencyEntry.reviewed_at.is_(None))
        .values(**values)
        .returning(EmergencyEntry)
        .execution_options(populate_existing=True)
    ).first()
    if done is None:
        return _as_reviewed_before(db, entry, values)
    _tell(db, done, "emergency.reviewed", actor, now, outcome=outcome)
    return done


def get(db: Session, *, organisation_id: UUID, entry_id: UUID) -> EmergencyEntry:
    """Return one entry of this organisation.

    Raises:
        NotFound: there is none.
    """
    query = of_organisation(organisation_id).where(EmergencyEntry.id == entry_id)
    entry = db.scalars(query).first()
    if entry is None:
        raise NotFound("There is no such emergency entry.", code="emergency_entry_not_found")
    return entry


def of_organisation(organisation_id: UUID) -> Select[EmergencyEntry]:
    """Return the query of an organisation's entries."""
    return select(EmergencyEntry).where(EmergencyEntry.organisation_id == organisation_id)


def _require_emergency(session: CareSession) -> None:
    if session.kind != "emergency":
        raise Conflict(
            "Only an emergency can be entered uninvited; invite the person instead.",
            code="not_an_emergency",
        )


def _require_permitted(db: Session, session: CareSession, role: str) -> None:
    organisation = db.get_one(Organisation, session.organisation_id)
    allowed = effective(
        role, kind=session.kind, organisation=organisation.permissions, participant={}
    )
    if Permission.ENTER_UNINVITED not in allowed:
        raise Forbidden(f"The role {role} may not enter uninvited here.", code="role_may_not_enter")


def _store(
    db: Session,
    session: CareSession,
    participant: Participant,
    *,
    reason: str,
    actor: Actor,
    now: datetime,
) -> EmergencyEntry:
    entry = EmergencyEntry(
        id=new_id(),
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=participant.id,
        reason=reason,
        entered_by=_name(actor),
        created_at=now,
    )
    db.add(entry)
    db.flush()
    _tell(db, entry, "emergency.entered", actor, now, role=participant.role)
    return entry


def _tell(
    db: Session, entry: EmergencyEntry, type_: str, actor: Actor, now: datetime, **detail: Any
) -> None:
    data = {"entry_id": str(entry.id), **detail}
    person = {"participant_id": str(entry.participant_id)}
    events.append(db, type_, session_id=entry.session_id, data={**person, **data}, now=now)
    audit.record(
        db,
        action=type_,
        actor=actor,
        now=now,
        organisation_id=entry.organisation_id,
        session_id=entry.session_id,
        participant_id=entry.participant_id,
        detail=data,
    )


def _as_reviewed_before(
    db: Session, entry: EmergencyEntry, values: dict[str, Any]
) -> EmergencyEntry:
    db.refresh(entry)
    same = ("reviewed_by", "outcome", "note")
    if any(getattr(entry, name) != values[name] for name in same):
        raise Conflict("This entry was reviewed already.", code="already_reviewed")
    return entry


def _moderators(db: Session, session: CareSession) -> list[Participant]:
    """Return who is inside and may moderate."""
    inside = presence.present(db, session.id)
    people = db.scalars(select(Participant).where(Participant.id.in_(inside))).all()
    organisation = db.get_one(Organisation, session.organisation_id)
    return [p for p in people if Permission.MODERATE in _rights(organisation, session, p)]


def _rights(
    organisation: Organisation, session: CareSession, person: Participant
) -> frozenset[Permission]:
    return effective(
        person.role,
        kind=session.kind,
        organisation=organisation.permissions,
        participant=person.permissions,
    )


def _warning(locale: str, newcomer: Participant) -> str:
    role = ROLE_WORDS.get(locale, {}).get(newcomer.role, newcomer.role)
    return WARNING.get(locale, WARNING["en"]).format(name=newcomer.display_name, role=role)


def _name(actor: Actor) -> str:
    assert actor.id is not None, "whoever calls the API has an id"
    return actor.id
