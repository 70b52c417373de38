"""The one place that makes a message's row."""

from datetime import datetime
from typing import Any
from uuid import UUID

from app.ids import new_id
from app.notifications.kinds import Channel, Kind
from app.participants.models import Participant


def row_of(
    person: Participant,
    kind: Kind,
    channel: Channel,
    *,
    event_id: UUID,
    occasion: str,
    due: datetime,
    now: datetime,
) -> dict[str, Any]:
    """Return one new message as a row."""
    return {
        "id": new_id(),
        "organisation_id": person.organisation_id,
        "event_id": event_id,
        "session_id": person.session_id,
        "participant_id": person.id,
        "kind": kind,
        "occasion": occasion,
        "channel": channel,
        "state": "pending",
        "due_at": due,
        "next_attempt_at": due,
        "created_at": now,
    }
