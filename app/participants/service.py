"""Inviting, changing and removing the people of a session."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Select, select
from sqlalchemy.orm import Session

from app.audit import service as audit
from app.audit.service import Actor
from app.db.base import columns_of
from app.errors import Conflict, NotFound, Stale
from app.events import service as events
from app.ids import new_id
from app.participants import links
from app.participants.models import Link, Participant
from app.sessions import service as sessions
from app.sessions.models import CareSession
from app.settings import Settings


@dataclass(frozen=True, slots=True)
class Invited:
    """A participant with the link just made for them."""

    participant: Participant
    link: Link

    def shown(self, settings: Settings) -> dict[str, Any]:
        """Return the participant with the link, as the API shows both this once."""
        return {
            **columns_of(self.participant),
            "link": links.url_for(self.link, settings),
            "link_expires_at": self.link.expires_at,
        }


def add(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    actor: Actor,
    settings: Settings,
    now: datetime,
    role: str,
    display_name: str,
    email: str | None = None,
    locale: str = "en",
    reference: str | None = None,
    **preferences: Any,
) -> Invited:
    """Invite one person, before or during the call.

    Args:
        preferences: how and when to reach them, by the names of the columns.

    Raises:
        NotFound: no such session.
        Conflict: the session is over.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    participant = Participant(
        id=new_id(),
        organisation_id=organisation_id,
        session_id=session_id,
        role=role,
        state="invited",
        display_name=display_name,
        email=email,
        locale=locale,
        reference=reference,
        permissions={},
        unsubscribed=preferences.pop("unsubscribed", []),
        version=1,
        created_at=now,
        **preferences,
    )
    db.add(participant)
    db.flush()  # the link's foreign key wants the row
    link = links.create_link(db, participant, session, settings=settings, now=now)
    tell(db, participant, "participant.invited", actor=actor, now=now)
    return Invited(participant, link)


def get(
    db: Session, *, organisation_id: UUID, session_id: UUID, participant_id: UUID
) -> Participant:
    """Return one participant of one session of this organisation.

    Raises:
        NotFound: there is none.
    """
    participant = db.scalars(_own(organisation_id, session_id, participant_id)).first()
    if participant is None:
        raise NotFound(
            "There is no such participant in this session.", code="participant_not_found"
        )
    return participant


def change(
    db: Session,
    *,
    organisation_id: UUID,
    session_id: UUID,
    participant_id: UUID,
    version: int,
    values: Mapping[str, Any],
    actor: Actor,
    now: datetime,
) -> Participant:
    """Change name, language, address or single permissions, if `version` is still the newest.

    Raises:
        NotFound, Stale: see there.
        Conflict: the person was removed, or the session is over.
    """
    session = sessions.lock(db, organisation_id=organisation_id, session_id=session_id)
    sessions.require_open(session)
    participant = get(
        db,
        organisation_id=organisation_id,
        session_id=session_id,
        participant_id=participant_id,
    )
    if participant.version != version:
        raise Stale(
            "The participant changed since you read it; read it again.", code="version_outdated"
        )
    require_present(participant)
    for name, value in values.items():
        setattr(participant, name, value)
    participant.version += 1
    db.flush()
    tell(db, participant, "participant.updated", actor=actor, now=now, fields=sorted(values))
    return participant


def replace_link(
    db: Session,
    session: CareSession,
    *,
    participant_id: UUID,
    actor: Actor,
    settings: Settings,
    now: datetime,
) -> Invited:
    """Give the person a new link; the old one, and tokens made from it, stop working at once.

    Args:
        session: locked (`sessions.service.lock`).

    Raises:
        NotFound: there is no such participant.
        Conflict: the person was removed, or the session is over.
    """
    sessions.require_open(session)
    participant = get(
        db,
        organisation_id=session.organisation_id,
        session_id=session.id,
        participant_id=participant_id,
    )
    require_present(participant)
    link = links.replace_link(db, participant, session, settings=settings, now=now)
    tell(db, participant, "link.replaced", actor=actor, now=now)
    return Invited(participant, link)


def tell(
    db: Session,
    participant: Participant,
    type_: str,
    *,
    actor: Actor,
    now: datetime,
    **detail: Any,
) -> UUID:
    """Write the event and the audit entry of something that happened to a participant."""
    data = {
        "participant_id": str(participant.id),
        "role": participant.role,
        "participant_reference": participant.reference,
        **{name: value for name, value in detail.items() if name != "fields"},
    }
    event_id = events.append(db, type_, session_id=participant.session_id, data=data, now=now)
    audit.record(
        db,
        action=type_,
        actor=actor,
        now=now,
        organisation_id=participant.organisation_id,
        session_id=participant.session_id,
        participant_id=participant.id,
        detail=detail,
    )
    return event_id


def require_present(participant: Participant) -> None:
    """Refuse what makes no sense for a person who was removed.

    Raises:
        Conflict: this one was.
    """
    if participant.state == "removed":
        raise Conflict("This participant was removed.", code="participant_removed")


def _own(organisation_id: UUID, session_id: UUID, participant_id: UUID) -> Select[Participant]:
    return select(Participant).where(
        Participant.id == participant_id,
        Participant.session_id == session_id,
        Participant.organisation_id == organisation_id,
    )
