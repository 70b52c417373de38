"""A clinic day as data: who has which visit, and what happens in it, in this order.

The table is the only place that knows the day. `day_play` does what it says on the real stack, and
`day_expected` says what must be true of it afterwards.
"""

from dataclasses import dataclass

NORTH, SOUTH = "north", "south"
# Which protocol the hospital's own services speak.
PROTOCOLS = {NORTH: "rest", SOUTH: "fhir"}
LASTING_MIN = 30


@dataclass(frozen=True, slots=True)
class Visit:
    """One visit. `steps` are of the form `verb` or `verb role`, separated by commas; a role is one
    person. `starts_min` is the planned start, in minutes after the day begins."""

    name: str
    hospital: str
    steps: str
    starts_min: int = 5
    others: tuple[str, ...] = ()
    is_emergency: bool = False
    # Whoever may not enter without the host waits until admitted.
    has_door: bool = False

    @property
    def invited(self) -> tuple[str, ...]:
        """Return the roles that are invited from the start, in that order."""
        return self.others if self.is_emergency else ("patient", "doctor", *self.others)

    @property
    def people(self) -> tuple[str, ...]:
        """Return all roles, also of those who enter uninvited."""
        uninvited = [who for verb, who in self.moves if verb == "break_glass"]
        return (*self.invited, *uninvited)

    @property
    def moves(self) -> list[tuple[str, str]]:
        """Return the steps as pairs; the second is '' where nobody is meant."""
        parts = [step.strip().partition(" ") for step in self.steps.split(",")]
        return [(verb, who) for verb, _, who in parts]


MEET = "enter doctor, enter patient"
PART = "leave patient, leave doctor, end"

DAY = (
    # North: plain REST services.
    Visit("on-time", NORTH, f"{MEET}, {PART}"),
    Visit("late", NORTH, f"{MEET}, {PART}", starts_min=-10, others=("nurse",)),
    Visit("later-still", NORTH, f"enter doctor, leave doctor, {MEET}, end", starts_min=-20),
    Visit("early", NORTH, f"arrive, {MEET}, {PART}", starts_min=12),
    Visit("reminded", NORTH, f"later, {MEET}, later, end", starts_min=120),
    Visit("cancelled", NORTH, "cancel, later", starts_min=120),
    Visit("moved", NORTH, f"reschedule 5, later, {MEET}, {PART}", starts_min=180),
    Visit("no-show", NORTH, "later, evening no_show"),
    Visit("waited-in-vain", NORTH, "enter doctor, leave doctor, evening no_show"),
    Visit(
        "interpreted", NORTH, f"{MEET}, enter interpreter, leave interpreter, {PART}",
        others=("interpreter",),
    ),
    Visit(
        "ambulance", NORTH,
        "enter doctor, break_glass paramedic, enter paramedic, review justified, leave paramedic,"
        " leave doctor, end",
        others=("doctor",), is_emergency=True,
    ),
    Visit("forgotten", NORTH, f"{MEET}, leave patient, leave doctor, evening empty"),
    # South: a FHIR server.
    Visit("cut-off", SOUTH, f"{MEET}, drop patient, enter patient, later, {PART}"),
    Visit("cut-off-for-long", SOUTH, f"{MEET}, drop patient, later, enter patient, {PART}"),
    Visit("two-devices", SOUTH, f"{MEET}, device patient, {PART}"),
    Visit("uninvited-guest", SOUTH, f"{MEET}, enter relative, remove relative, {PART}",
          others=("relative",)),
    Visit("at-the-door", SOUTH,
          "knock patient, enter doctor, admit patient, enter patient, end", has_door=True),
    Visit("turned-away", SOUTH,
          "enter doctor, knock patient, knock relative, deny relative, admit patient,"
          " enter patient, end", has_door=True, others=("relative",)),
    Visit("called-off", SOUTH, "arrive, cancel, later", starts_min=120),
    Visit(
        "crash", SOUTH,
        "enter nurse, enter doctor, break_glass paramedic, enter paramedic, review unjustified,"
        " end",
        others=("doctor", "nurse"), is_emergency=True,
    ),
)  # fmt: skip
