"""What must be true of a visit, worked out from its script alone.

Every verb of the script is a method that writes down what it leads to.
"""

from collections import Counter
from dataclasses import dataclass, field

from tests.flow.day_script import Visit

# The defaults of an organisation: after which delay who comes is late, when people are reminded.
LATE_AFTER_MIN = 5
REMINDER_MIN = 60
MODERATORS = ("doctor", "nurse")
HOSTS = (*MODERATORS, "paramedic")
OVER = ("completed", "cancelled", "no_show", "ended")


@dataclass(slots=True)
class Stay:
    """A time that somebody was inside; `reason` is '' as long as they are."""

    connections: int = 1
    reason: str = ""


@dataclass(slots=True)
class Expected:
    """What is to be found. Events are pairs of type and role, '' where they are about nobody;
    messages are counted by kind and role."""

    visit: Visit
    status: str = "scheduled"
    starts_min: int = 0
    events: list[tuple[str, str]] = field(default_factory=list)
    mails: Counter[tuple[str, str]] = field(default_factory=Counter)
    stays: dict[str, list[Stay]] = field(default_factory=dict)
    removed: set[str] = field(default_factory=set)
    clicks: Counter[str] = field(default_factory=Counter)
    reviewed: str = ""
    _is_reminded: bool = False

    def __post_init__(self) -> None:
        """The visit is planned and everybody invited."""
        self.starts_min = self.visit.starts_min
        self.status = "active" if self.visit.is_emergency else "scheduled"
        self._tell("session.created")
        if not self.visit.is_emergency:
            self._tell("appointment.created")
        for who in self.visit.invited:
            self._invite(who)
            self._mail("invitation", who)

    def step(self, verb: str, who: str) -> None:
        """Take one step of the script."""
        getattr(self, f"do_{verb}")(who)

    # --- the verbs

    def do_enter(self, who: str) -> None:
        """Come in; the first host opens the room, and the others are told."""
        self.clicks[who] += 1
        if self.status in ("scheduled", "arrived"):
            assert who in HOSTS, "nobody else opens a room"
            self.status = "in_progress"
            self._tell("session.started")
            self._tell("visit.started")
            for other in self._outside(but=who):
                self._mail("started", other)
        self.stays[who].append(Stay())
        self._tell("participant.joined", who)

    def do_device(self, who: str) -> None:
        """Come in with another device, which takes the place of the first."""
        self.clicks[who] += 1
        self.stays[who][-1].connections += 1
        self._tell("participant.left", who)
        self._tell("participant.joined", who)

    def do_leave(self, who: str) -> None:
        """Go."""
        self._go(who, "left")

    def do_drop(self, who: str) -> None:
        """Lose the connection."""
        self._go(who, "disconnected")

    def do_knock(self, who: str) -> None:
        """Wait to be admitted."""
        self.clicks[who] += 0
        self._tell("participant.waiting", who)
        for moderator in MODERATORS:
            if moderator in self._outside(but=who):
                self._mail("patient_waiting", moderator)

    def do_admit(self, who: str) -> None:
        """Be let in."""
        self._tell("participant.admitted", who)

    def do_deny(self, who: str) -> None:
        """Not be let in."""
        self._tell("participant.denied", who)

    def do_remove(self, who: str) -> None:
        """Be put out."""
        self.removed.add(who)
        self._tell("participant.removed", who)
        self._go(who, "kicked")

    def do_arrive(self, _who: str) -> None:
        """The patient is at the desk."""
        self.status = "arrived"
        self._tell("appointment.arrived")

    def do_cancel(self, _who: str) -> None:
        """It will not take place, and everybody is told."""
        self.status = "cancelled"
        self._tell("appointment.cancelled")
        self._tell("session.cancelled")
        for who in self.visit.invited:
            self._mail("cancelled", who)

    def do_reschedule(self, minutes: str) -> None:
        """It takes place at another time, and everybody is told."""
        self.starts_min = int(minutes)
        self._tell("session.updated")
        self._tell("appointment.rescheduled")
        for who in self.visit.invited:
            self._mail("rescheduled", who)

    def do_break_glass(self, who: str) -> None:
        """Somebody gets in uninvited."""
        self._invite(who)
        self._tell("emergency.entered", who)

    def do_review(self, outcome: str) -> None:
        """Somebody else signs that off."""
        self.reviewed = outcome
        uninvited = next(who for who in self.stays if who not in self.visit.invited)
        self._tell("emergency.reviewed", uninvited)

    def do_later(self, _who: str) -> None:
        """What was to be said in a while is said now, if it still helps."""
        if self.status in ("scheduled", "arrived") and self.starts_min > REMINDER_MIN:
            for who in () if self._is_reminded else self._outside():
                self._mail("reminder", who)
            self._is_reminded = True
        if self.status not in OVER:
            for who in self._outside():
                if self.stays[who] and self.stays[who][-1].reason == "disconnected":
                    self._mail("disconnected", who)

    def do_end(self, _who: str) -> None:
        """It is over for everybody."""
        self._over("ended" if self.visit.is_emergency else "completed")

    def do_evening(self, rule: str) -> None:
        """The hospital's rules close what nobody closed; nobody is told hours afterwards."""
        if rule == "no_show":
            was_open = self.status == "in_progress"
            self.status = "no_show"
            self._tell("appointment.no_show")
            self._tell("session.ended" if was_open else "session.cancelled")
        else:
            self._over("completed")

    # --- what they have in common

    def _over(self, status: str) -> None:
        self.status = status
        if not self.visit.is_emergency:
            self._tell("visit.completed")
        self._tell("session.ended")
        for who in self.visit.people:
            if self._is_inside(who):
                self._go(who, "ended")

    def _go(self, who: str, reason: str) -> None:
        self.stays[who][-1].reason = reason
        self._tell("participant.left", who)

    def _invite(self, who: str) -> None:
        self.stays[who] = []
        self._tell("participant.invited", who)

    def _tell(self, type_: str, who: str = "") -> None:
        self.events.append((type_, who))

    def _mail(self, kind: str, who: str) -> None:
        self.mails[kind, who] += 1

    def _is_inside(self, who: str) -> bool:
        return bool(self.stays[who]) and not self.stays[who][-1].reason

    def _outside(self, but: str = "") -> list[str]:
        """Return who could be written to and is not inside."""
        some = [who for who in self.visit.invited if who != but and who not in self.removed]
        return [who for who in some if not self._is_inside(who)]

    # --- read off

    @property
    def is_late(self) -> bool:
        """Tell whether who came, came late."""
        return not self.visit.is_emergency and self.starts_min < -LATE_AFTER_MIN

    def outcome(self, who: str) -> str:
        """Return what attendance says of one person."""
        return "attended" if self.stays[who] else "absent"

    def interruptions(self, who: str) -> int:
        """Return how often a person was cut off and came back."""
        return sum(stay.reason == "disconnected" for stay in self.stays[who][:-1])


def expected(visit: Visit) -> Expected:
    """Return what must be true when the day is over."""
    ledger = Expected(visit)
    for verb, who in visit.moves:
        ledger.step(verb, who)
    return ledger
