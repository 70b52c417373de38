"""Sealing, keys, purging and verifying from outside, as it goes on day after day."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psycopg2
import pytest
from alembic import command
from sqlalchemy import text
from sqlalchemy.exc import DBAPIError

from app.audit import retention, sealer
from app.audit import service as audit
from app.audit.anchors import EVENT, Anchors
from app.audit.proof import NOBODY, use_keys
from app.audit.verify import What
from app.clock import utc_now
from app.db.migrate import alembic_config, migrate
from app.localstack.supervisor import LocalStack
from app.services import Services
from app.setting_values import AuditKey
from tests.api.auditing import (
    keys_of,
    make_entries,
    seal_all,
    seals_of,
    superuser,
    verdict_on,
)
from tests.api.hospital import Hospital
from tests.conftest import AUDIT, services_of
from workers.sealing import Keeper

LONG_AGO = datetime(2011, 3, 10, tzinfo=UTC)


def run(stack: LocalStack, *words: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run `teleconsult` with the auditor's environment: the read-only role and the keys."""
    least = {
        "DATABASE_URL": stack.postgres.audit_url,
        "AUDIT_KEYS": stack.environment["AUDIT_KEYS"],
        **env,
    }
    line = [sys.executable, "-m", "app.cli", *words]
    return subprocess.run(line, env=least, capture_output=True, text=True, timeout=60, check=False)


def write_long_ago(services: Services, hospital: Hospital, ago: timedelta) -> None:
    """Write an entry of some time ago, as if nobody had sealed it since."""
    with services.database.begin() as db:
        audit.record(
            db,
            action="test.waiting",
            actor=audit.SERVICE,
            now=utc_now() - ago,
            organisation_id=hospital.organisation_id,
        )


def later() -> datetime:
    """Return a moment of the month before the last that has a partition."""
    return (utc_now().replace(day=1) + timedelta(days=62)).replace(day=1)


def unsealed_s(hospital: Hospital) -> float:
    """Return what /metrics says of the entry that waits longest."""
    text = hospital.app.test_client().get("/metrics").text
    [line] = [line for line in text.splitlines() if line.startswith("audit_unsealed_seconds ")]
    return float(line.split()[1])


class TestSealing:
    """Each entry once, without gaps, whoever is at it and however it ends."""

    def test_two_sealers_at_once_seal_each_entry_once(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """And entries that are being written meanwhile."""
        stop = threading.Event()

        def keep_sealing() -> None:
            while not stop.is_set():
                seal_all(services)

        threads = [threading.Thread(target=keep_sealing) for _ in range(2)]
        for thread in threads:
            thread.start()
        writers = [
            threading.Thread(target=make_entries, args=(services, alice, 5)) for _ in range(20)
        ]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
        stop.set()
        for thread in threads:
            thread.join()
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert (verdict.broken, verdict.unsealed) == (None, 0)
        assert verdict.entries >= 100

    def test_an_entry_that_commits_late_is_sealed(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """Its transaction began before those of entries that are sealed already."""
        with services.database.begin() as slow:
            audit.record(
                slow,
                action="test.slow",
                actor=audit.SERVICE,
                now=utc_now(),
                organisation_id=alice.organisation_id,
            )
            make_entries(services, alice, 3)
            for _ in range(3):
                seal_all(services)
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert (verdict.broken, verdict.unsealed) == (None, 0)

    def test_a_restored_database_is_sealed_where_counting_began_anew(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """There, transactions have smaller numbers than those the sealer has seen."""
        make_entries(services, alice, 3)
        with services.database.begin() as db:
            db.execute(text("UPDATE teleconference.audit_state SET next_xid = 2 ^ 60"))
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert (verdict.broken, verdict.unsealed) == (None, 0)

    def test_a_sealer_killed_in_the_middle_leaves_nothing_half_done(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """kill -9 while it is writing seals; the next one does them all."""
        make_entries(services, alice, 3000)
        for _ in range(3):
            process = subprocess.Popen(
                [sys.executable, "-c", SEAL_UNTIL_KILLED],
                env={**postgres.environment},
                stdout=subprocess.PIPE,
                text=True,
            )
            assert process.stdout is not None
            assert process.stdout.readline() == "sealing\n"  # seals are written, not committed
            process.send_signal(signal.SIGKILL)
            process.wait()
            process.stdout.close()
            with superuser(postgres) as db:
                verdict = verdict_on(db, services, alice)
            assert verdict.broken is None
            assert verdict.unsealed >= 3000
        assert_sealer_is_free(services)
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert (verdict.broken, verdict.unsealed) == (None, 0)
        assert verdict.entries >= 3000


SEAL_UNTIL_KILLED = """
from app.audit import sealer
from app.audit.proof import AuditKeys
from app.settings import Settings
from app.wiring import build_services
settings = Settings.from_env()
services = build_services(settings, application="teleconsult-killed")
with services.database.begin() as db:
    while not sealer.seal(db, AuditKeys(settings.audit_keys), limit=500).entries:
        pass
    print("sealing", flush=True)
    while True:
        sealer.seal(db, AuditKeys(settings.audit_keys), limit=10)
"""


def assert_sealer_is_free(services: Services) -> None:
    """Wait until the server has noticed the death of whoever held the sealer's lock."""
    with services.database.begin() as db:
        wait = text("SELECT pg_advisory_xact_lock(:key)")
        db.execute(wait, {"key": sealer.SEAL_LOCK})


class TestKeys:
    """`AUDIT_KEYS`: the first proves, all verify."""

    @pytest.fixture
    def rotated(self, services: Services) -> Iterator[Services]:
        """The service with a new key in front, in this process too."""
        keys = (AuditKey("new", b"n" * 32), *services.settings.audit_keys)
        use_keys(keys)
        yield replace(services, settings=replace(services.settings, audit_keys=keys))
        use_keys(services.settings.audit_keys)

    def test_a_chain_goes_on_over_a_rotation(
        self, postgres: LocalStack, services: Services, rotated: Services, alice: Hospital
    ) -> None:
        """Entries and seals before and after verify, as long as both keys are known."""
        use_keys(services.settings.audit_keys)
        make_entries(services, alice, 3)
        seal_all(services)
        use_keys(rotated.settings.audit_keys)
        make_entries(rotated, alice, 3)
        seal_all(rotated)
        with superuser(postgres) as db:
            assert {seal.key_id for seal in seals_of(db, alice)} == {"tests", "new"}
            verdict = verdict_on(db, rotated, alice)
            assert (verdict.broken, verdict.unsealed) == (None, 0)
            broken = verdict_on(db, services, alice).broken
        assert broken is not None
        assert broken.what is What.UNKNOWN_KEY

    def test_a_sealer_that_does_not_know_the_new_key_yet_seals_all_the_same(
        self, postgres: LocalStack, services: Services, rotated: Services, alice: Hospital
    ) -> None:
        """In a rotation the API may be restarted first."""
        make_entries(rotated, alice, 3)
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, rotated, alice)
            assert [seal.is_genuine for seal in seals_of(db, alice)][-3:] == [None] * 3
        assert (verdict.broken, verdict.unsealed) == (None, 0)


class TestKeeper:
    """What the relay does about the log."""

    def test_it_anchors_what_it_sealed(
        self,
        postgres: LocalStack,
        services: Services,
        alice: Hospital,
        tmp_path: Path,
    ) -> None:
        """At its start all chains, then those that grew; to the file, as the log has it."""
        path = tmp_path / "anchors"
        settings = replace(services.settings, audit_anchor_file=str(path), audit_anchor_every_s=0.0)
        keeper = Keeper(replace(services, settings=settings))
        keeper.work()
        make_entries(services, alice, 2)
        keeper.work()
        path.write_text("no anchor\n" + path.read_text() + '{"event": "audit_anchor", "numb')
        anchors = Anchors()
        anchors.read(path)
        with superuser(postgres) as db:
            last = seals_of(db, alice)[-1]
            known = anchors.chains[alice.organisation_id]
            assert verdict_on(db, services, alice, anchors).broken is None
        assert known.last == last.number
        assert not known.denies(last.number, last.hash)
        assert known.denies(last.number, b"another")

    def test_an_anchor_behind_half_a_line_is_read(self, alice: Hospital, tmp_path: Path) -> None:
        """A full disk left the half, and the next line was put behind it."""
        path, chain = tmp_path / "anchors", alice.organisation_id
        half = '{"event": "audit_anchor", "organisation_id": "'
        line = {"event": EVENT, "organisation_id": str(chain), "number": 7, "hash": "00" * 32}
        path.write_text(half + json.dumps(line) + "\n")
        anchors = Anchors()
        anchors.read(path)
        assert anchors.chains[chain].last == 7

    def test_an_anchor_file_that_cannot_be_written_stops_nothing_else(
        self, postgres: LocalStack, services: Services, alice: Hospital, tmp_path: Path
    ) -> None:
        """Entries are sealed, and the months to come get their partitions."""
        settings = replace(services.settings, audit_anchor_file=str(tmp_path / "no" / "anchors"))
        months = "SELECT count(*) FROM pg_class WHERE relname LIKE 'entries_20%' AND relkind = 'r'"
        [(before,)] = owner(postgres, months)
        owner(postgres, f"DROP TABLE audit_partitions.entries_{later():%Y_%m}")
        make_entries(services, alice, 1)
        keeper = Keeper(replace(services, settings=replace(settings, audit_anchor_every_s=0.0)))
        with pytest.raises(FileNotFoundError):
            keeper.work()
        assert owner(postgres, months) == [(before,)]
        with superuser(postgres) as db:
            assert verdict_on(db, services, alice).unsealed == 0

    def test_two_anchors_that_contradict_each_other_are_found(
        self, postgres: LocalStack, services: Services, alice: Hospital, tmp_path: Path
    ) -> None:
        """Each was true when it was written: the chain was cut between them."""
        seal_all(services)
        with superuser(postgres) as db:
            last = seals_of(db, alice)[-1]
        path = tmp_path / "anchors"
        line = {"organisation_id": str(alice.organisation_id), "number": last.number}
        path.write_text(
            "".join(
                json.dumps({"event": EVENT, **line, "hash": hash_.hex()}) + "\n"
                for hash_ in (bytes(32), bytes(last.hash))
            )
        )
        anchors = Anchors()
        anchors.read(path)
        with superuser(postgres) as db:
            broken = verdict_on(db, services, alice, anchors).broken
        assert broken is not None
        assert (broken.what, broken.number) == (What.TRUNCATED, last.number)


class TestCommand:
    """`teleconsult audit verify`, as the auditor runs it."""

    def test_it_says_ok(self, postgres: LocalStack, services: Services, alice: Hospital) -> None:
        """With the role that may only read, and two settings."""
        make_entries(services, alice, 5)
        seal_all(services)
        chain = str(alice.organisation_id)
        done = run(postgres, "audit", "verify", "--organisation", chain)
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("OK: ")
        answer = run(postgres, "audit", "verify", "--organisation", chain, "--json")
        said = json.loads(answer.stdout)
        assert said["ok"] is True
        assert said["entries"] >= 5
        assert (said["chains"], said["broken"]) == (1, None)

    def test_it_names_what_is_broken(
        self, postgres: LocalStack, services: Services, alice: Hospital, tmp_path: Path
    ) -> None:
        """Exit code 1, and the number from which on the chain is not what the anchor knew."""
        seal_all(services)
        chain = str(alice.organisation_id)
        path = tmp_path / "relay.log"
        anchor = {"event": EVENT, "organisation_id": chain, "number": 10**6, "hash": "00" * 32}
        path.write_text(json.dumps(anchor) + "\n")
        given = ("audit", "verify", "--organisation", chain)
        for options, env in (
            (("--anchors", str(path)), {}),
            ((), {"AUDIT_ANCHOR_FILE": str(path)}),
        ):
            done = run(postgres, *given, "--json", *options, **env)
            assert done.returncode == 1, done.stderr
            assert json.loads(done.stdout)["broken"]["what"] == "truncated"
        done = run(postgres, *given, "--anchors", str(path))
        assert done.stdout.startswith("BROKEN: truncated: ")

    def test_it_says_when_entries_wait_too_long(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """An exit code and words of its own; until a relay seals them, and /metrics tells, too."""
        seal_all(services)
        write_long_ago(services, alice, timedelta(minutes=2))
        chain = str(alice.organisation_id)
        done = run(postgres, "audit", "verify", "--organisation", chain)
        assert (done.returncode, done.stdout[:24]) == (3, "LATE: 1 not sealed yet, ")
        with superuser(postgres) as db:
            said = verdict_on(db, services, alice).shown(utc_now())
        assert (said["ok"], said["late"], said["broken"]) == (False, True, None)
        assert 120 <= unsealed_s(alice) < 600
        seal_all(services)
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert (verdict.is_late(utc_now()), unsealed_s(alice)) == (False, 0)

    def test_what_was_written_just_now_is_not_late(
        self, postgres: LocalStack, services: Services, alice: Hospital
    ) -> None:
        """It is counted, and that is all."""
        write_long_ago(services, alice, timedelta(seconds=5))
        with superuser(postgres) as db:
            verdict = verdict_on(db, services, alice)
        assert verdict.unsealed > 0
        assert not verdict.is_late(utc_now())
        assert verdict.shown(utc_now())["ok"] is True

    def test_it_needs_the_keys(self, postgres: LocalStack) -> None:
        """And says so."""
        done = run(postgres, "audit", "verify", AUDIT_KEYS="")
        assert done.returncode == 1
        assert "AUDIT_KEYS" in done.stderr


@pytest.fixture
def aged(tmp_path: Path) -> Iterator[LocalStack]:
    """A database of its own that has entries from before there were proofs."""
    with LocalStack(tmp_path, parts={"postgres"}, durable=False, env=AUDIT) as stack:
        command.upgrade(alembic_config(stack.environment["MIGRATION_DATABASE_URL"]), "0020")
        owner(
            stack,
            "INSERT INTO teleconference.audit_entries (id, at, actor_kind, action, outcome, detail)"
            " SELECT gen_random_uuid(), '2011-02-20'::timestamptz + i * interval '1 day',"
            " 'service', 'test.old', 'done', jsonb_build_object('turn', i)"
            " FROM generate_series(1, 20) i",
        )
        yield stack


def owner(stack: LocalStack, statement: str) -> list[Any]:
    """Run a statement as the owner of the tables and return its rows, if it has any."""
    connection = psycopg2.connect(stack.postgres.owner_url)
    try:
        with connection, connection.cursor() as cursor:
            cursor.execute(statement)
            return cursor.fetchall() if cursor.description else []
    finally:
        connection.close()


def write(services: Services, at: datetime, number: int = 1) -> None:
    """Write entries that belong to nobody."""
    with services.database.begin() as db:
        for _ in range(number):
            audit.record(db, action="test.aged", actor=audit.SERVICE, now=at, organisation_id=None)


def partitions(stack: LocalStack) -> set[str]:
    """Return the names of the partitions."""
    rows = owner(
        stack,
        "SELECT inhrelid::regclass::text FROM pg_inherits"
        " WHERE inhparent = 'teleconference.audit_entries'::regclass",
    )
    return {str(name).rpartition(".")[2] for (name,) in rows}


def last_number(services: Services) -> int:
    """Return the end of nobody's chain."""
    with services.database.begin() as db:
        return sealer.heads_of(db, [NOBODY])[NOBODY].number


class TestAge:
    """What becomes of old entries."""

    def test_entries_from_before_there_were_proofs_live_until_they_are_purged(
        self, aged: LocalStack
    ) -> None:
        """The migration proves each as it is and puts it into its month; seven years later the
        month goes, and what is left verifies."""
        aged.migrate()
        assert {"entries_2011_02", "entries_2011_03", "entries_default"} <= partitions(aged)
        services = services_of(aged)
        seal_all(services)
        with superuser(aged) as db:
            verdict = verdict_on(db, services, None)
        assert (verdict.broken, verdict.unsealed, verdict.entries) == (None, 0, 20)
        write(services, utc_now(), 2)
        seal_all(services)
        write(services, LONG_AGO)  # and one that is sealed behind younger ones
        seal_all(services)
        self.purge(services)
        assert {name for name in partitions(aged) if name.startswith("entries_2011")} == set()
        with superuser(aged) as db:
            verdict = verdict_on(db, services, None)
        assert (verdict.broken, verdict.unsealed) == (None, 0)
        assert (verdict.purged, verdict.entries) == (21, 3)
        self.assert_rest_is_beyond_touch(aged, services)
        services.database.dispose()

    def purge(self, services: Services) -> None:
        """Purge, twice; the chain grows by the entry that tells of it, once."""
        before = last_number(services)
        for expected in (True, False):
            with services.database.begin() as db:
                done = retention.purge(db, keys_of(services), now=utc_now())
            assert (done is not None) is expected
        seal_all(services)
        assert last_number(services) == before + 1

    def assert_rest_is_beyond_touch(self, stack: LocalStack, services: Services) -> None:
        """What a purge left is as hard as what was there before."""
        first = "(SELECT min(number) FROM teleconference.audit_seals)"
        for statement in (
            "UPDATE teleconference.audit_checkpoints SET number = number + 1",
            "DELETE FROM teleconference.audit_checkpoints",
            f"DELETE FROM teleconference.audit_seals WHERE number = {first}",
        ):
            with superuser(stack) as db:
                assert db.execute(text(statement)).rowcount == 1
                broken = verdict_on(db, services, None).broken
            assert broken is not None
            assert broken.what in (What.ALTERED, What.MISSING)

    def test_what_comes_before_its_partition_moves_there_later(
        self, postgres: LocalStack, services: Services
    ) -> None:
        """An insert never fails, and its month gets its partition all the same."""
        later = utc_now().replace(day=1) + timedelta(days=70)
        month = f"entries_{later:%Y_%m}"
        owner(postgres, f"DROP TABLE audit_partitions.{month}")
        write(services, later, 3)
        assert month not in partitions(postgres)
        with services.database.begin() as db:
            retention.ensure_partitions(db)
        counted = owner(postgres, f"SELECT count(*) FROM audit_partitions.{month}")
        assert counted == [(3,)]
        seal_all(services)
        with superuser(postgres) as db:
            assert verdict_on(db, services, None).broken is None

    def test_nothing_is_purged_before_its_time(self, services: Services) -> None:
        """The service cannot shorten it."""
        for before in ("now()", "now() - interval '6 years'", "NULL"):
            with (
                pytest.raises(DBAPIError, match="kept longer"),
                services.database.begin() as db,
            ):
                db.execute(text(f"SELECT teleconference.purge_audit({before})"))

    def test_nothing_is_purged_that_is_not_sealed(self, services: Services) -> None:
        """Its place in the chain would be lost with it."""
        write(services, LONG_AGO)
        with (
            pytest.raises(DBAPIError, match="no seal yet"),
            services.database.begin() as db,
        ):
            retention.purge(db, keys_of(services), now=utc_now())
        seal_all(services)

    def test_how_long_entries_are_kept_is_set_when_migrating(
        self, postgres: LocalStack, services: Services
    ) -> None:
        """By the owner of the tables."""
        for days in (3000, 2557):
            migrate(
                postgres.environment["MIGRATION_DATABASE_URL"],
                audit_keys=services.settings.audit_keys,
                audit_retention_days=days,
            )
            kept = owner(postgres, "SELECT retention_days FROM teleconference.audit_state")
            assert kept == [(days,)]
