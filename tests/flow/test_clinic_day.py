"""A clinic day on the real stack, and at its end everything that tells of it says the same."""

import asyncio
import itertools
from collections import Counter
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest
from sqlalchemy import text

from app.clock import utc_now
from app.localstack import LocalStack
from app.localstack.supervisor import BACKING, SERVICES
from app.rooms import commands as room_commands
from app.visits.sweep import sweep
from tests.conftest import AUDIT, QUICK, check_events, services_of
from tests.flow.clinic import until
from tests.flow.day_compare import (
    compare_attendance,
    compare_events,
    compare_privacy,
    compare_status,
    compare_webhooks,
    feed,
)
from tests.flow.day_expected import expected
from tests.flow.day_hospital import DayHospital, Inbox, hospital
from tests.flow.day_play import Player
from tests.flow.day_script import DAY, NORTH, SOUTH, Visit

# Two loaded cores may take minutes to start the stack alone.
pytestmark = pytest.mark.timeout(300)
AT_THE_SAME_TIME = 5
EVENING = timedelta(hours=4)
SETTLED_WITHIN_S = 60.0
PENDING = text("""
    SELECT (SELECT count(*) FROM teleconference.events WHERE relayed_at IS NULL)
         + (SELECT count(*) FROM teleconference.webhook_deliveries WHERE state <> 'delivered')
         + (SELECT count(*) FROM teleconference.notifications WHERE state = 'pending')
         + (SELECT count(*) FROM teleconference.room_commands WHERE state = 'pending')
         + (SELECT count(*) FROM teleconference.attendance WHERE left_at IS NULL)
         + (SELECT count(*) FROM teleconference.visit_reports WHERE state <> 'reported')""")


@dataclass
class Day:
    """The day when it is over."""

    stack: LocalStack
    inbox: Inbox
    hospitals: dict[str, DayHospital]
    players: list[Player]


@pytest.fixture(scope="module")
def town(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalStack]:
    """A stack of its own: in the evening every session that is still open is looked at."""
    folder = tmp_path_factory.mktemp("town")
    env = {**QUICK, **AUDIT, "RELAY_POLL_S": "0.25"}
    env |= {"AUDIT_ANCHOR_FILE": str(folder / "anchors"), "AUDIT_ANCHOR_EVERY_S": "1"}
    env["DIRECTORY_TIMEOUT_S"] = "10"  # this is a test of a day, not of a busy machine
    with LocalStack(folder, parts={*BACKING, *SERVICES}, durable=False, env=env) as running:
        running.run("keys", "rotate")
        yield running
        check_events(running)


@pytest.fixture(scope="module")
def day(town: LocalStack) -> Iterator[Day]:
    """Two hospitals on one day, several visits at a time."""
    services, inbox = services_of(town), Inbox(town)
    with ExitStack() as open_:
        open_.callback(services.database.dispose)
        hospitals = {
            name: open_.enter_context(hospital(name, services, town, inbox))
            for name in (NORTH, SOUTH)
        }
        began = utc_now()
        players = [Player(visit, hospitals[visit.hospital], began) for visit in DAY]
        with ThreadPoolExecutor(AT_THE_SAME_TIME) as threads:
            list(threads.map(Player.plan, players))
            list(threads.map(lambda player: asyncio.run(player.play()), players))
        evening = utc_now() + EVENING
        sweep(services, now=evening)
        for player in players:
            player.finish()
        # The rooms hear of it as the relay's next look would tell them.
        room_commands.sweep(services, now=evening + EVENING)

        def is_quiet() -> bool:
            with services.database.begin() as db:
                return int(db.scalar(PENDING) or 0) == 0

        for player in players:
            player.hospital.let_time_pass(player.session_id)
        assert until(is_quiet, SETTLED_WITHIN_S), "something is still under way"
        yield Day(town, inbox, hospitals, players)


def test_the_script_is_a_day_of_its_size() -> None:
    """20 visits, 45 people, two hospitals, and all that may happen."""
    people = [role for visit in DAY for role in visit.people]
    assert (len(DAY), len(people)) == (20, 45)
    assert {"doctor", "patient", "nurse", "interpreter", "relative", "paramedic"} == set(people)
    assert {visit.hospital for visit in DAY} == {NORTH, SOUTH}
    assert sum(visit.is_emergency for visit in DAY) == 2


@pytest.mark.parametrize("visit", DAY, ids=lambda visit: visit.name)
def test_another_script_is_another_day(visit: Visit) -> None:
    """Without its last step, or with a person less, other things must be true."""
    *kept, _ = visit.steps.split(",")
    shorter = replace(visit, steps=",".join(kept) or "later")
    said = expected(visit)
    if visit.steps.split(",")[-1].strip() != "later":
        assert expected(shorter) != replace(said, visit=shorter)
    if visit.others and visit.others[-1] not in visit.steps:
        assert expected(replace(visit, others=visit.others[:-1])).events != said.events


def test_statuses_agree(day: Day) -> None:
    """Ours, the patient service's and the doctor service's."""
    for player in day.players:
        compare_status(player, expected(player.visit))


def test_the_services_heard_of_our_visits_only(day: Day) -> None:
    """And of all of them."""
    for made in day.hospitals.values():
        mine = [p for p in day.players if p.hospital is made and not p.visit.is_emergency]
        for service in (made.patients, made.doctors):
            heard = {path.rsplit("/", 1)[1] for path, _ in service.told}
            assert heard == {player.made["id"] for player in mine}


def test_attendance_is_what_people_did(day: Day) -> None:
    """Every interval of everybody."""
    for player in day.players:
        compare_attendance(player, expected(player.visit))


def test_everybody_got_their_messages_and_no_others(day: Day) -> None:
    """By kind and person: none twice, none for who had nothing to expect."""
    wanted = {
        (player.hospital.address(f"{player.visit.name}-{role}"), kind): count
        for player in day.players
        for (kind, role), count in expected(player.visit).mails.items()
    }
    assert day.inbox.received() == Counter(wanted)
    assert len(day.inbox.ids) == sum(wanted.values())


def test_feed_audit_and_webhooks_tell_the_same(day: Day) -> None:
    """Every event once, in order, with its entry."""
    for made in day.hospitals.values():
        read = feed(made)
        for player in (one for one in day.players if one.hospital is made):
            compare_events(player, expected(player.visit), read)
        compare_webhooks(made, read)


def test_every_uninvited_entry_was_reviewed(day: Day) -> None:
    """By somebody else, as the script says."""
    for made in day.hospitals.values():
        assert made.do("GET", "/emergency-entries?reviewed=false").json()["items"] == []
        done = made.do("GET", "/emergency-entries").json()["items"]
        assert {one["session_id"]: one["outcome"] for one in done} == {
            player.session_id: expected(player.visit).reviewed
            for player in day.players
            if player.hospital is made and player.visit.is_emergency
        }


def test_the_other_hospital_sees_nothing_of_it(day: Day) -> None:
    """In both directions."""
    for one, other in itertools.permutations(day.hospitals.values(), 2):
        compare_privacy(one, other, day.players)


def test_the_audit_log_holds(day: Day) -> None:
    """Sealed to the last entry, and as long as the anchors say."""
    anchors = Path(day.stack.environment["AUDIT_ANCHOR_FILE"])

    def verdict() -> str:
        return day.stack.run("audit", "verify", "--anchors", str(anchors))

    assert until(lambda: "not sealed" not in verdict(), SETTLED_WITHIN_S)
    assert verdict().startswith("OK: ")
    assert anchors.read_text().strip()
