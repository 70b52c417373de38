"""Seven years by the clock: each class of data goes at its time and not before, and what is held
stays. What is told here of each table is what docs/retention.md says."""

from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest
from sqlalchemy import select, text

from app.clock import utc_now
from app.db.tables import Base
from app.localstack.supervisor import LocalStack
from app.organisations.policy import DEFAULT
from app.retention import sweep
from app.services import Services
from app.storage import sweep as erasing
from tests.api.auditing import seal_all, superuser, verdict_on
from tests.api.filing import Archive
from tests.api.furnishing import furnish
from tests.api.hospital import Hospital, admit_hospital
from tests.api.prosody import Prosody
from tests.api.records import audit_of
from workers.relay import PURGE_SIGN_INS, purge_expired, relay_events

DAY = timedelta(days=1)
LONG_AGO = timedelta(days=8 * 366)
RECORDS, CONTACTS = DEFAULT.keep_records_days, DEFAULT.keep_contacts_days
RECORDINGS, FILES = DEFAULT.keep_recordings_days, DEFAULT.keep_files_days
OWNED = {n: t for n, t in Base.metadata.tables.items() if "organisation_id" in t.columns}
# What is gone with contacts and news; later acts (a recording expires) are news again.
NEWS = {
    f"teleconference.{name}"
    for name in ("events", "notifications", "webhook_deliveries", "room_commands", "av_moderation")
}
# What belongs to no session: it stays with the organisation, or has an end of its own.
BESIDE = {
    f"teleconference.{name}"
    for name in (
        "api_clients", "client_secrets", "consent_texts", "directory_connections",
        "idempotency_keys", "identity_providers", "staff_sessions", "webhook_subscriptions",
        "audit_entries", "audit_seals", "audit_checkpoints",
    )
}  # fmt: skip
OF_SESSIONS = set(OWNED) - BESIDE
CHANGES = (
    """UPDATE teleconference.sessions SET state = 'ended', due_at = NULL, ended_at = :over,
         planned_start = NULL, planned_end = NULL WHERE organisation_id = :whose""",
    """UPDATE teleconference.session_files SET created_at = :before
       WHERE organisation_id = :whose""",
    """UPDATE teleconference.recordings SET created_at = :before, state = 'available'
       WHERE organisation_id = :whose""",
    """UPDATE teleconference.recording_files SET state = 'available'
       WHERE organisation_id = :whose""",
    """UPDATE teleconference.stored_files SET created_at = :before
       WHERE organisation_id = :whose""",
    """UPDATE teleconference.participants SET email = 'max@example.org', phone = '+4930123456'
       WHERE organisation_id = :whose""",
)
# What other tests left is none of this one's, and there may be much of it.
HANDED_ON = """UPDATE teleconference.events SET relayed_at = :over
    WHERE relayed_at IS NULL AND organisation_id <> :whose"""
PEOPLE = """UPDATE clinical.{} SET updated_at = %s, email = 'max@example.org', learned = true
    WHERE organisation_id = %s"""
CONTACTED = """
    SELECT (SELECT count(*) FROM teleconference.participants
            WHERE organisation_id = :whose AND (email IS NOT NULL OR phone IS NOT NULL))
      + (SELECT count(*) FROM clinical.patients
         WHERE organisation_id = :whose AND (email IS NOT NULL OR phone IS NOT NULL))
      + (SELECT count(*) FROM clinical.providers
         WHERE organisation_id = :whose AND (email IS NOT NULL OR phone IS NOT NULL))"""
KEYS = """SELECT count(*) FROM teleconference.stored_files
    WHERE organisation_id = :whose AND destroyed_at IS NULL"""
SESSIONS = "SELECT id FROM teleconference.sessions WHERE organisation_id = :whose"
STATES = "SELECT DISTINCT state FROM teleconference.{} WHERE organisation_id = :whose"


@dataclass(frozen=True)
class Years:
    """A hospital whose sessions were all over long ago, and a clock that begins at that moment."""

    services: Services
    hospital: Hospital
    over: datetime

    def rows(self, table: str) -> int:
        """Return how many rows of the hospital a table has."""
        return int(self.ask(f"SELECT count(*) FROM {table} WHERE organisation_id = :whose")[0])

    def all_rows(self) -> dict[str, int]:
        """Return the same for every table of what belongs to sessions."""
        return {table: self.rows(table) for table in OF_SESSIONS}

    def ask(self, query: str) -> list[Any]:
        """Return the first column of a query about this hospital."""
        with self.services.database.begin() as db:
            return list(db.scalars(text(query), {"whose": self.hospital.organisation_id}))

    def pass_to(self, day: float) -> None:
        """Let all processes do what they do, with the clock so many days after the end."""
        now = self.over + day * DAY
        self.relay(now)
        self.sweep(now)
        self.relay(now)
        while erasing.sweep(self.services.database, self.services.storage.store, now=now):
            continue
        self.sweep(now)

    def sweep(self, now: datetime) -> None:
        """Sweep this hospital, and what is nobody's."""
        database = self.services.database
        sweep.sweep_one(database, self.hospital.organisation_id, now=now)
        sweep.end_orphans(database, now=now)
        sweep.forget_strays(database, now=now)

    def relay(self, now: datetime) -> None:
        """Hand on whatever happened."""
        with self.services.database.begin() as db:
            while relay_events(db, limit=200, now=now).events:
                continue


def grow_old(
    services: Services, hospital: Hospital, prosody: Prosody, postgres: LocalStack
) -> Years:
    """Furnish a hospital, end all of its sessions, and let eight years have passed since."""
    furnish(hospital, services, prosody)
    over = utc_now() - LONG_AGO
    values = {"over": over, "before": over - DAY, "whose": hospital.organisation_id}
    with services.database.begin() as db:
        for change in CHANGES:
            assert db.execute(text(change), values).rowcount > 0, change  # type: ignore[attr-defined]
        db.execute(text(HANDED_ON), values)
    with postgres.postgres.as_admin() as admin:
        for table in ("patients", "providers"):
            admin.execute(PEOPLE.format(table), (over, str(hospital.organisation_id)))
    made = Years(services, hospital, over)
    made.relay(over)
    return made


@pytest.fixture
def years(archive: Archive, alice: Hospital, prosody: Prosody, postgres: LocalStack) -> Years:
    """Alice's, all over for eight years."""
    return grow_old(archive.services, alice, prosody, postgres)


@pytest.fixture
def held(archive: Archive, prosody: Prosody, postgres: LocalStack) -> Years:
    """Another hospital's, which holds all of its sessions."""
    hospital = admit_hospital(archive.app, archive.services, "Holding Hospital")
    made = grow_old(archive.services, hospital, prosody, postgres)
    for session in made.ask(
        "SELECT id FROM teleconference.sessions WHERE organisation_id = :whose"
    ):
        body = {"reason": "litigation"}
        assert hospital.post(f"/sessions/{session}/holds", json=body).status_code == 201
    return made


def test_seven_years(years: Years, held: Years, postgres: LocalStack) -> None:
    """Day by day of what is decided: nothing goes the day before, all of it the day after."""
    begun, kept = years.all_rows(), held.all_rows()
    assert min(begun.values()) > 0, begun
    reached = years.ask(CONTACTED)

    years.pass_to(CONTACTS - 0.5)
    assert years.all_rows() == begun
    assert years.ask(CONTACTED) == reached
    years.pass_to(CONTACTS + 0.5)
    assert years.ask(CONTACTED) == [0]
    assert {table for table in NEWS if years.rows(table)} == set()
    assert _rest(years.all_rows()) == _rest(begun)

    years.pass_to(RECORDINGS - 0.5)
    assert years.ask(STATES.format("recordings")) == ["available"]
    assert "deleted" not in years.ask(STATES.format("session_files"))
    years.pass_to(RECORDINGS + 0.5)
    assert years.ask(STATES.format("recordings")) == ["expired"]
    assert years.ask(STATES.format("recording_files")) == ["deleted"]
    assert years.ask(STATES.format("session_files")) == ["deleted"]
    assert years.ask(KEYS) == [0]
    assert list(years.services.storage.store.keys(str(years.hospital.organisation_id))) == []

    years.pass_to(RECORDS - 0.5)
    assert _rest(years.all_rows()) == _rest(begun)
    years.pass_to(RECORDS + 0.5)
    assert set(years.all_rows().values()) == {0}, years.all_rows()

    assert _rest(held.all_rows()) == _rest(kept)
    assert held.ask(CONTACTED) != [0]
    assert held.ask(STATES.format("recordings")) == ["available"]
    _release(held)
    held.pass_to(RECORDS + 1)
    assert set(held.all_rows().values()) == {0}, held.all_rows()
    seal_all(years.services)
    with superuser(postgres) as db:
        assert verdict_on(db, years.services, years.hospital).broken is None
    acts = {entry.action for entry in audit_of(years.services, years.hospital.organisation_id)}
    assert {"session.trimmed", "session.forgotten", "recording.expired", "file.deleted"} <= acts


def _rest(rows: dict[str, int]) -> dict[str, int]:
    """Return the rows of what does not come and go with every act; of people there are some who
    have no session."""
    aside = {*NEWS, "clinical.patients", "clinical.providers"}
    return {table: number for table, number in rows.items() if table not in aside}


def _release(years: Years) -> None:
    query = """SELECT id FROM teleconference.legal_holds
        WHERE organisation_id = :whose AND released_at IS NULL"""
    for hold in years.ask(query):
        answer = years.hospital.post(f"/holds/{hold}/release", json={"reason": "closed"})
        assert answer.status_code == 200, answer.text


def test_several_workers_end_everything_once(years: Years) -> None:
    """Whoever is second finds it done: no act is on record twice."""
    database, now = years.services.database, years.over + (RECORDINGS + 1) * DAY
    with ThreadPoolExecutor(3) as pool:
        sweeps = [pool.submit(sweep.sweep, database, now=now) for _ in range(3)]
        assert sum(one.result() for one in sweeps) > 0
    years.pass_to(RECORDINGS + 1)  # news of what was ended just now are handed on first
    acts = audit_of(years.services, years.hospital.organisation_id)
    ended = {"recording.expired", "file.deleted", "session.trimmed"}
    told = [(e.action, e.session_id, str(e.detail)) for e in acts if e.action in ended]
    assert {action for action, *_ in told} == ended
    assert len(told) == len(set(told))


def test_who_looked_before_another_trimmed_trims_nothing(years: Years) -> None:
    """Two workers find the same session; the second has it when the first is done."""
    trim, now = sweep.OWNERS.trim_sessions, years.over + CONTACTS * DAY
    ids = years.ask(SESSIONS)
    with years.services.database.begin(years.hospital.organisation_id) as db:
        assert set(db.scalars(select(trim(ids, now)))) == set(ids)
    with years.services.database.begin(years.hospital.organisation_id) as db:
        assert db.scalars(select(trim(ids, now))).all() == []


def test_what_belongs_to_no_session_has_an_end_of_its_own(years: Years, services: Services) -> None:
    """Answers kept for repeats go after a day, ids of room events after a week, sign-ins when they
    are over; what the organisation is made of stays."""
    before = {table: years.rows(table) for table in BESIDE}
    now = utc_now()
    with services.database.begin() as db:
        db.execute(
            text("UPDATE teleconference.idempotency_keys SET created_at = :at"),
            {"at": now - 25 * timedelta(hours=1)},
        )
        db.execute(
            text("UPDATE teleconference.staff_sessions SET expires_at = :at"),
            {"at": now - LONG_AGO},
        )
        while purge_expired(db, now=now):
            continue
        db.execute(PURGE_SIGN_INS, {"now": now})
    years.pass_to(RECORDS + 1)
    after = {table: years.rows(table) for table in BESIDE}
    ended = ("teleconference.idempotency_keys", "teleconference.staff_sessions")
    assert [after[table] for table in ended] == [0, 0]
    grown = {name for name in BESIDE if "audit" in name}
    same = BESIDE - grown - set(ended)
    assert {name: after[name] for name in same} == {name: before[name] for name in same}
    assert all(after[name] >= before[name] > 0 for name in grown)


def test_an_organisation_decides_for_each_kind_of_visit(years: Years) -> None:
    """Of the sessions of one kind files and records stay longer; the others' go in time."""
    own = {"keep_files_days": 200, "keep_recordings_days": 200, "keep_records_days": 3000}
    policy = {"keep_files_days": 10, "visit_types": {"surgery": own}}
    version = years.hospital.get("/organisation").headers["ETag"]
    changed = years.hospital.patch(
        "/organisation", json={"policy": policy}, headers={"If-Match": version}
    )
    assert changed.status_code == 200, changed.text
    with years.services.database.begin() as db:
        db.execute(
            text("""UPDATE teleconference.sessions SET visit_type = 'surgery' WHERE id IN
                (SELECT session_id FROM teleconference.session_files
                 WHERE organisation_id = :whose)"""),
            {"whose": years.hospital.organisation_id},
        )
    years.pass_to(199)
    assert "deleted" not in years.ask(STATES.format("session_files"))
    years.pass_to(201)
    assert years.ask(STATES.format("session_files")) == ["deleted"]
    years.pass_to(RECORDS + 1)
    assert years.ask(
        "SELECT DISTINCT visit_type FROM teleconference.sessions WHERE organisation_id = :whose"
    ) == ["surgery"]
    years.pass_to(3001)
    assert years.rows("teleconference.sessions") == 0


def test_the_database_itself_deletes_nothing_that_is_young_held_or_of_others(
    years: Years, held: Years
) -> None:
    """Whatever it is asked, and by whom: a mistake above it does no harm."""
    services = years.services
    forget = text("SELECT * FROM teleconference.forget_sessions(:ids, :now)")
    now = utc_now()
    young = years.hospital.new_session()["id"]
    everything = years.ask("SELECT id FROM teleconference.sessions")
    with services.database.begin(years.hospital.organisation_id) as db:
        # Keys are there still, of the files of some.
        gone = set(db.scalars(forget, {"ids": everything, "now": now + LONG_AGO}))
    mine = set(years.ask(SESSIONS))
    assert young in {str(one) for one in mine}
    assert years.ask(KEYS) != [0]
    assert gone.isdisjoint(held.ask("SELECT id FROM teleconference.sessions"))
    with services.database.begin(held.hospital.organisation_id) as db:
        assert db.scalars(forget, {"ids": everything, "now": now}).all() == []
        trim = text("SELECT * FROM teleconference.trim_sessions(:ids, :now)")
        assert db.scalars(trim, {"ids": everything, "now": now}).all() == []
