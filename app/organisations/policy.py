"""What an organisation decides about its visits: when doors open, what is late, when rooms end,
and how long things are kept.

Stored is only what differs from the defaults, under the names of the fields; `visit_types` holds
what differs again for one kind of visit.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from typing import Any

VISIT_TYPES = "visit_types"


@dataclass(frozen=True, slots=True)
class Policy:
    """The rules of one organisation, or of one kind of visit in it. Times are in seconds."""

    # None: the deployment's EARLY_JOIN_S. Read in the database, too (migration 0040).
    early_join_s: int | None = None
    # After the planned start: who is not there yet is late; a patient who never came is a no-show.
    late_after_s: int = 300
    no_show_after_s: int = 1800
    # After the planned end, while people are inside.
    overrun_after_s: int = 0
    # A room nobody is in, after the planned end and the last leave; any room after the planned end.
    end_empty_after_s: int = 900
    end_forgotten_after_s: int = 14400
    # Whether who may not enter without the host waits to be admitted.
    waiting_room: bool = True
    # Whether a recording stops for a newcomer who has not agreed, instead of keeping them out.
    recording_yields: bool = False
    # How long things are kept after the session is over, in days; why: docs/retention.md.
    keep_recordings_days: int = 90
    keep_files_days: int = 90
    # How people are reached, and the news of the session.
    keep_contacts_days: int = 30
    # Who took part, when, and what they agreed to; never shorter than any of the above.
    keep_records_days: int = 2557
    # Before the planned start.
    reminders_s: tuple[int, ...] = (86400, 3600)
    # No message that can wait is sent in these hours of this zone.
    quiet_from: str = "21:00"
    quiet_to: str = "07:00"
    timezone: str = "UTC"

    @staticmethod
    def of(settings: Mapping[str, Any], visit_type: str | None = None) -> "Policy":
        """Return the rules for one kind of visit, or for those without any."""
        own = settings.get(VISIT_TYPES, {}).get(visit_type or "", {})
        known = {name: value for name, value in {**settings, **own}.items() if name in NAMES}
        if "reminders_s" in known:
            known["reminders_s"] = tuple(known["reminders_s"])
        return replace(DEFAULT, **known)

    def shown(self) -> dict[str, Any]:
        """Return the fields by name."""
        return asdict(self)


NAMES = frozenset(field.name for field in fields(Policy))
DEFAULT = Policy()


def shortens(before: Mapping[str, Any], after: Mapping[str, Any]) -> bool:
    """Tell whether for some kind of visit anything is kept for less time than before."""
    kinds = {None, *before.get(VISIT_TYPES, {}), *after.get(VISIT_TYPES, {})}
    return any(
        getattr(Policy.of(after, kind), name) < getattr(Policy.of(before, kind), name)
        for kind in kinds
        for name in NAMES
        if name.startswith("keep_")
    )


def merged(settings: Mapping[str, Any], changes: Mapping[str, Any]) -> dict[str, Any]:
    """Return settings with changes in the way of RFC 7396: null returns to the default."""
    result = dict(settings)
    for name, value in changes.items():
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping):
            result[name] = merged(result.get(name, {}), value)
        else:
            result[name] = value
    return result
