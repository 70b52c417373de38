"""Refusals, noted so that nobody can fill the log by being refused.

Whoever stands outside is refused as often as they like. The first of a kind, from one place and
from everywhere, are entries of their own; of those that follow, an entry tells their number each
time it has doubled. Without Redis nobody counts, and each is an entry.
"""

from dataclasses import replace
from datetime import datetime

from app.audit.service import Entry, record_all
from app.db.engine import Runner
from app.ports import Limiter
from app.setting_values import Rate

# One place may be that of a whole hospital, and whoever attacks may have many.
PLACES = 10


def note(
    db: Runner, limiter: Limiter, entry: Entry, *, who: str, bound: Rate | None, now: datetime
) -> None:
    """Write a refusal down, or count it.

    Args:
        db: not the transaction that was refused, which rolls back.
        who: for whom it is counted: the place a stranger comes from, or the id of somebody known.
        bound: how many are entries of their own; None: all.
    """
    kind = f"refused:{entry.action}:{entry.organisation_id}:{entry.actor.kind}"
    further = _further(limiter, kind, who, bound) if bound else 0
    if further & (further - 1):
        return  # neither none nor a power of two
    if further:
        entry = replace(entry, detail={**(entry.detail or {}), "further": further})
    record_all(db, [entry], now=now)


def _further(limiter: Limiter, kind: str, who: str, bound: Rate) -> int:
    """Count one more; return how many came after those that are entries of their own."""
    here = limiter.hit(f"{kind}:{who}", amount=bound.amount, window_s=bound.window_s)
    if here is not None and here.is_exceeded:
        return here.used - here.amount
    wider = bound.amount * PLACES
    everywhere = limiter.hit(kind, amount=wider, window_s=bound.window_s)
    return max(0, everywhere.used - everywhere.amount) if everywhere else 0
