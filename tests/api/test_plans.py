"""Every statement the service sends finds its rows by an index, whichever table grows.

PostgreSQL itself tells the plans of all that was run, also of what functions run inside it. In an
almost empty table it rightly reads everything, and joins by reading everything, so here it is asked
not to, and what it knows of the tables is taken from it; what it then still reads from end to end
has no index to go by.
"""

import itertools
import json
import re
from collections.abc import Iterator, Mapping
from typing import Any
from uuid import uuid4

import pytest

from app.attendance import totals
from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from app.notifications import service as notifications
from app.recordings import sweep as recordings
from app.retention import sweep as retention
from app.rooms import commands
from app.services import Services
from app.visits import reports, sweep
from app.webhooks import deliveries
from tests.api.clinic import make_appointment, with_directory
from tests.api.hospital import Hospital
from tests.api.prosody import Prosody
from tests.api.records import code_of
from tests.api.test_recordings import Call
from workers.relay import purge_expired, relay_events
from workers.retiring import note_watched
from workers.sealing import Keeper

GROWING = {
    "sessions", "participants", "links", "attendance", "events", "webhook_deliveries",
    "notifications", "audit_entries", "audit_seals", "appointments", "visits", "visit_reports",
    "waiting", "room_commands", "room_events", "idempotency_keys", "emergency_entries",
    "staff_sessions", "patients", "recordings", "consents", "consent_texts",
    "legal_holds", "playback_links", "playback_views", "playback_deliveries", "session_files",
    "stored_files", "recording_files",
}  # fmt: skip
PARTITION = re.compile(r"entries_(\d{4}_\d{2}|default)")
TOLD = re.compile(r" plan:\n((?:\t.*\n)+)")
ROW_SECURITY = re.compile(r"\(\(current_setting\((?:(?! AND ).)*")
SETTINGS = {
    "session_preload_libraries": "auto_explain",
    "auto_explain.log_min_duration": "0",
    "auto_explain.log_nested_statements": "on",
    "auto_explain.log_format": "json",
    "enable_seqscan": "off",
    "enable_hashjoin": "off",
    "enable_mergejoin": "off",
    "jit": "off",
}
# As if nobody had ever looked at the tables: what autovacuum happened to see of a few rows decides
# nothing.
UNSEEN = """
    UPDATE pg_class SET relpages = 0, reltuples = -1
    WHERE relkind = 'r' AND (relname = ANY(%s) OR relname ~ '^entries_')"""
UNKNOWN = """
    DELETE FROM pg_statistic
    WHERE starelid IN
      (SELECT oid FROM pg_class WHERE relname = ANY(%s) OR relname ~ '^entries_')"""
INDEXED = {"Index Scan", "Index Only Scan", "Bitmap Index Scan"}


class Plans:
    """The plans PostgreSQL wrote into its log since this was made."""

    def __init__(self, postgres: LocalStack) -> None:
        self._log = postgres.postgres.log
        self._start = self._log.stat().st_size

    def __iter__(self) -> Iterator[Mapping[str, Any]]:
        """Yield each plan with its statement."""
        with self._log.open("rb") as log:
            log.seek(self._start)
            text = log.read().decode()
        for found in TOLD.finditer(text):
            yield json.loads(found[1])

    def without_index(self) -> list[str]:
        """Return what reads a growing table from end to end, each with its statement."""
        found = {
            f"{problem}: {' '.join(plan['Query Text'].split())[:300]}"
            for plan in self
            for problem in _problems(plan["Plan"], limited=False)
        }
        return sorted(found)


# What PostgreSQL believes of a function that does not say otherwise.
FUNCTIONS_ROWS = 1000
JOINS = {"Hash Join", "Merge Join", "Nested Loop"}


def _problems(node: Mapping[str, Any], *, limited: bool) -> Iterator[str]:
    if node["Node Type"] in JOINS:
        for part in node["Plans"]:
            if part["Node Type"] == "Function Scan" and part["Plan Rows"] == FUNCTIONS_ROWS:
                # For so many it may read the other table from end to end.
                yield f"joins a thousand rows of {part['Function Name']}"
    table = PARTITION.sub("audit_entries", node.get("Relation Name", ""))
    if table in GROWING:
        if node["Node Type"] == "Seq Scan":
            yield f"reads all of {table}"
        elif node["Node Type"] in INDEXED and not _is_bounded(node, limited=limited):
            yield f"reads all of {table} along {node['Index Name']}"
    # What is above a limit, but below a sort, is read whole.
    limited = node["Node Type"] == "Limit" or (limited and node["Node Type"] not in WHOLE)
    for part in node.get("Plans", ()):
        yield from _problems(part, limited=limited)


# What an index of the audit log can begin with, apart from the organisation.
LEADING = re.compile(
    r"\b(session_id|participant_id|actor_id)(, \w+)+\) < |\b(action|actor_kind|xid) >= |\bid = "
)
WHOLE = {"Sort", "Aggregate", "Hash", "HashAggregate", "WindowAgg", "Materialize"}


def _is_bounded(node: Mapping[str, Any], *, limited: bool) -> bool:
    """Tell whether it looks for something, reads in order until it has enough, or goes along an
    index that holds only what is unfinished."""
    is_picked = "Filter" in node and not ROW_SECURITY.fullmatch(node["Filter"])
    if PARTITION.search(node["Index Name"]) and is_picked:
        # Its own organisation's entries, or all of some time: years of them.
        return bool(LEADING.search(node.get("Index Cond", "")))
    return "Index Cond" in node or node["Index Name"] in UNFINISHED or (limited and not is_picked)


# Partial indexes: what is in them soon leaves them, or is rare like a legal hold.
UNFINISHED = {
    "ix_events_unrelayed", "ix_attendance_open", "ix_attendance_one_open_per_connection",
    "ix_attendance_uncounted", "ix_notifications_due", "ix_webhook_deliveries_due",
    "ix_webhook_deliveries_pending", "ix_visit_reports_due", "ix_room_commands_pending",
    "ix_sessions_due", "ix_playback_deliveries_unnoted", "ix_participants_removed_until",
    "ix_recordings_one_live_per_session", "ix_legal_holds_live",
}  # fmt: skip


@pytest.fixture
def plans(postgres: LocalStack, services: Services) -> Iterator[Plans]:
    """Have PostgreSQL tell its plans to every connection of the service made meanwhile."""
    with postgres.postgres.as_admin() as admin:
        for name, value in SETTINGS.items():
            admin.execute(f"ALTER ROLE role_telehealth SET {name} = '{value}'")
        _forget_statistics(admin)
        services.database.dispose()
        yield Plans(postgres)
        admin.execute("ALTER ROLE role_telehealth RESET ALL")
        admin.execute("ALTER SYSTEM RESET autovacuum")
        admin.execute("SELECT pg_reload_conf()")
        admin.execute("ANALYZE")
    services.database.dispose()


def _forget_statistics(admin: Any) -> None:
    """Take from the planner what it knows; autovacuum, which would look again, rests meanwhile."""
    admin.execute("ALTER SYSTEM SET autovacuum = off")
    admin.execute("SELECT pg_reload_conf()")
    for statement in (UNSEEN, UNKNOWN):
        admin.execute(statement, (sorted(GROWING),))


def test_no_page_reads_a_whole_table(plans: Plans, alice: Hospital) -> None:
    """Every list with every filter, alone."""
    session = alice.new_session(reference="case-1")
    person = alice.invite(session["id"])
    webhook = alice.post("/webhooks", json={"url": f"https://hospital.example/{uuid4()}"})
    log = f"/webhooks/{webhook.get_json()['id']}/deliveries"
    for path in _lists(session["id"], person["id"], log):
        assert alice.get(path).status_code == 200, path
    assert plans.without_index() == []


def _lists(session: str, person: str, log: str) -> Iterator[str]:
    moment = "2026-01-01T00:00:00Z"
    filters = {
        "/sessions": ("state=ended", "kind=emergency", "state=ended&kind=emergency",
                      "reference=case-1"),
        f"/sessions/{session}": (),
        f"/sessions/{session}/participants": (),
        f"/sessions/{session}/participants/{person}": (),
        f"/sessions/{session}/attendance": (),
        f"/sessions/{session}/notifications": (),
        f"/sessions/{session}/waiting": (),
        f"/sessions/{session}/recordings": (),
        f"/sessions/{session}/consents": (),
        f"/sessions/{session}/holds": (),
        "/holds": ("live=true", "live=false"),
        "/consent-texts": (),
        "/appointments": ("day=2026-01-01", "status=scheduled", f"provider_id={person}",
                          f"patient_id={person}", f"status=no_show&provider_id={person}",
                          f"status=no_show&patient_id={person}",
                          "day=2026-01-01&status=no_show"),
        "/events": ("after=7", "types=session.ended", f"session_id={session}"),
        "/audit": (*_combinations(session, person), f"since={moment}", f"until={moment}"),
        "/emergency-entries": ("reviewed=false", "reviewed=true"),
        log: ("state=failed", "state=pending", "state=delivered"),
        "/stats": (), "/metrics": (),
    }  # fmt: skip
    for path, conditions in filters.items():
        yield path
        yield from (f"{path}?{condition}" for condition in conditions)


def _combinations(session: str, person: str) -> Iterator[str]:
    """Yield the conditions of the audit log, each alone and with all others."""
    kinds = ("client", "room", "operator")
    choices = [
        (f"session_id={session}",),
        (f"participant_id={person}",),
        (f"actor_id={person}",),
        tuple(f"actor_kind={kind}" for kind in kinds),
        ("action=session.created",),
        ("outcome=refused", "outcome=done"),
    ]
    for chosen in itertools.product(*(("", *choice) for choice in choices)):
        if any(chosen):
            yield "&".join(filter(None, chosen))


def test_nothing_on_the_way_of_a_visit_reads_a_whole_table(
    plans: Plans, alice: Hospital, prosody: Prosody
) -> None:
    """From the appointment over the door and the room to its end."""
    made = make_appointment(with_directory(alice), 0)
    visit = f"/visits/{made['id']}"
    assert alice.post(f"{visit}/start", json={}).status_code == 200
    session, doctor, patient = _opened(alice, prosody)
    _recorded(alice, prosody)
    assert alice.app.test_client().get(f"/j/{code_of(patient)}/state").status_code == 200
    path = f"/sessions/{session['id']}"
    assert alice.post(f"{path}/participants/{doctor['id']}/link", json={}).status_code < 300
    assert alice.delete(f"{path}/participants/{patient['id']}").status_code == 200
    assert alice.post(f"{path}/end", json={}).status_code == 200
    assert alice.get(f"{visit}/status").status_code == 200
    assert alice.post(f"{visit}/end", json={"reason": "done"}).status_code == 200
    assert plans.without_index() == []


def _recorded(alice: Hospital, prosody: Prosody) -> None:
    """Ask everybody, agree, begin, and take it back."""
    call = Call(alice, prosody.services, prosody)
    call.runs()
    call.say(call.patient, "withdrawn")
    call.focus("off")


def _opened(
    alice: Hospital, prosody: Prosody
) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    session = alice.new_session()
    doctor, patient = (alice.invite(session["id"], role) for role in ("doctor", "patient"))
    for person in (doctor, patient):
        answer = alice.app.test_client().post(f"/j/{code_of(person)}/token", json={})
        assert answer.status_code == 200
    return session, doctor, patient


def test_nothing_that_is_done_again_and_again_reads_a_whole_table(
    plans: Plans, alice: Hospital, services: Services
) -> None:
    """What the relay looks for all the time, on its own."""
    alice.invite(alice.new_session()["id"])
    now = utc_now()
    with services.database.begin() as db:
        relay_events(db, limit=200, now=now)
        deliveries.due_subscriptions(db, now=now)
        notifications.due(db, now=now, limit=200)
        reports.due(db, now=now)
        totals.count(db)
        purge_expired(db, now=now)
    sweep.sweep(services, now=now)
    commands.sweep(services, now=now)
    recordings.sweep(services, now=now)
    retention.sweep_one(services.database, alice.organisation_id, now=now)
    retention.end_orphans(services.database, now=now)
    retention.forget_strays(services.database, now=now)
    note_watched(services)
    Keeper(services).work()
    assert plans.without_index() == []
