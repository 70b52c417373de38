"""Who can be reached how, and when they want to be left alone."""

from collections.abc import Collection, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import select
from sqlalchemy.orm import Session

from app.notifications.kinds import RULES, Channel, Kind
from app.notifications.quiet import STILL_USEFUL, Quiet, send_at
from app.organisations.models import Organisation
from app.organisations.policy import Policy
from app.participants.models import Participant
from app.sessions.models import CareSession
from app.sessions.states import State

PLACES = (
    select(Participant, CareSession, Organisation)
    .join(CareSession, CareSession.id == Participant.session_id)
    .join(Organisation, Organisation.id == Participant.organisation_id)
)


def places_in(db: Session, sessions: Collection[UUID]) -> Sequence[Any]:
    """Return everybody of these sessions who was not removed."""
    wanted = PLACES.where(Participant.session_id.in_(sessions), Participant.state != "removed")
    fresh = wanted.order_by(Participant.id).execution_options(populate_existing=True)
    return db.execute(fresh).all()


def place_of(db: Session, participant_id: UUID) -> Any:
    """Return one person with their session and organisation."""
    fresh = PLACES.where(Participant.id == participant_id)
    return db.execute(fresh.execution_options(populate_existing=True)).one()


def channels_for(person: Participant, kind: Kind, available: Collection[Channel]) -> list[Channel]:
    """Return how to reach this person with this kind of message, the best way first."""
    if RULES[kind].optional and kind in person.unsubscribed:
        return []
    wanted = list(Channel) if person.channels is None else [Channel(c) for c in person.channels]
    return [c for c in wanted if c in available and has_address(person, c)]


def has_address(person: Participant, channel: Channel) -> bool:
    """Tell whether there is anywhere to send to. The hospital's service knows its people."""
    if channel is Channel.EMAIL:
        return bool(person.email)
    return bool(person.phone) if channel is Channel.SMS else True


def policy_for(organisation: Organisation, session: CareSession) -> Policy:
    """Return what the organisation decided about messages of such a visit."""
    return Policy.of(organisation.settings, session.visit_type)


def quiet_for(person: Participant, kind: Kind, policy: Policy) -> Quiet:
    """Return the hours of rest that count for this kind of message: the person's own, or else the
    organisation's."""
    zone, own = person.timezone or policy.timezone, person.quiet_from or person.quiet_to
    if RULES[kind].urgent or (RULES[kind].asked_for and not own):
        return Quiet.of("00:00", "00:00", zone)
    return Quiet.of(
        person.quiet_from or policy.quiet_from, person.quiet_to or policy.quiet_to, zone
    )


def earliest(
    person: Participant, session: CareSession, kind: Kind, policy: Policy, now: datetime
) -> datetime:
    """Return when a message that is wanted now may be sent."""
    start = session.planned_start
    if start is None or session.state == State.ACTIVE:
        return now
    margin = STILL_USEFUL if kind is Kind.REMINDER else timedelta()
    return send_at(now, quiet_for(person, kind, policy), useful_until=start - margin)
