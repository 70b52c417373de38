"""What is past its time goes in batches: past what cannot go, and by the policy of the moment."""

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import timedelta

import pytest
from sqlalchemy import create_engine, text
from structlog.testing import capture_logs

from app.clock import utc_now
from app.localstack.postgres import DATABASE
from app.localstack.supervisor import LocalStack
from app.organisations.policy import DEFAULT
from app.retention import sweep
from app.retention.sweep import BATCH
from app.services import Services
from tests.api import samples
from tests.api.filing import Filing
from tests.api.hospital import Hospital

# Sessions like one, over for eight years, each the day after the one before.
COPY = text("""
    INSERT INTO teleconference.sessions
    SELECT (jsonb_populate_record(s, jsonb_build_object(
        'id', gen_random_uuid(), 'room_name', gen_random_uuid(), 'state', 'ended', 'due_at', NULL,
        'planned_start', NULL, 'planned_end', NULL, 'created_at', :over - interval '1 day',
        'ended_at', :over + number * interval '1 minute', 'trimmed_at', CAST(:trimmed AS text)))).*
    FROM teleconference.sessions s, generate_series(1, :many) AS of (number) WHERE s.id = :id
    RETURNING id""")
# Their news were not handed on, so the database lets none of them go.
UNTOLD = text("""
    INSERT INTO teleconference.events
    SELECT (jsonb_populate_record(e, jsonb_build_object(
        'id', gen_random_uuid(), 'session_id', s, 'relayed_at', NULL))).*
    FROM teleconference.events e, unnest(CAST(:ids AS uuid[])) s WHERE e.session_id = :id""")
NOBODYS = text("""
    INSERT INTO teleconference.stored_files (id, organisation_id, created_at, erased_at)
    VALUES (gen_random_uuid(), NULL, :at, :at) RETURNING id""")
STORED = text("SELECT count(*) FROM teleconference.stored_files WHERE id = :id")
LEFT = text("SELECT id FROM teleconference.sessions WHERE id = ANY(:ids)")
RULE = text("UPDATE teleconference.organisations SET settings = :rule WHERE id = :whose")


# A row that no statement can change any more, as one with damage would be.
STIFF = """
    CREATE FUNCTION public.{name}() RETURNS trigger LANGUAGE plpgsql AS
      $$ BEGIN RAISE EXCEPTION 'this row is damaged'; END $$;
    CREATE TRIGGER {name} BEFORE UPDATE OR DELETE ON teleconference.{table} FOR EACH ROW
      WHEN (OLD.id = '{id}') EXECUTE FUNCTION public.{name}()"""
SOFT = "DROP FUNCTION public.{name}() CASCADE"


@contextmanager
def stiff(postgres: LocalStack, table: str, row_id: str) -> Iterator[None]:
    """Let a row be one that cannot go."""
    url = postgres.postgres.admin_url.rpartition("/")[0] + f"/{DATABASE}"
    engine = create_engine(url.replace("postgresql:", "postgresql+psycopg2:", 1))
    it = {"table": table, "id": row_id, "name": f"stiff_{row_id.replace('-', '_')}"}
    with engine.begin() as db:
        db.exec_driver_sql(STIFF.format(**it))
    try:
        yield
    finally:
        with engine.begin() as db:
            db.exec_driver_sql(SOFT.format(**it))
        engine.dispose()


def _old(services: Services, hospital: Hospital, many: int, *, is_stuck: bool) -> list[str]:
    """Return the ids of so many sessions whose time is over."""
    like = hospital.new_session()["id"]
    over = utc_now() - timedelta(days=(9 if is_stuck else 8) * 366)
    values = {"id": like, "over": over, "trimmed": over.isoformat(), "many": many}
    with services.database.begin() as db:
        ids = list(db.scalars(COPY, values))
        if is_stuck:
            db.execute(UNTOLD, {"id": like, "ids": ids})
    return ids


def _left(services: Services, ids: list[str]) -> int:
    with services.database.begin() as db:
        return len(db.scalars(LEFT, {"ids": ids}).all())


def test_what_cannot_go_is_passed_over_and_said(services: Services, alice: Hospital) -> None:
    """A full batch of older sessions that stay keeps no younger one, and somebody hears of it."""
    stuck = _old(services, alice, BATCH + 3, is_stuck=True)
    free = _old(services, alice, BATCH + 3, is_stuck=False)
    with capture_logs() as logs:
        sweep.sweep_one(services.database, alice.organisation_id, now=utc_now())
    assert _left(services, free) == 0
    assert _left(services, stuck) == len(stuck)
    told = [
        one
        for one in logs
        if one["event"] == "sessions_past_their_time"
        and one["organisation_id"] == str(alice.organisation_id)
    ]
    assert [(one["act"], one["sessions"]) for one in told] == [("session.forgotten", len(stuck))]


def test_a_session_that_cannot_go_keeps_no_other(
    services: Services, alice: Hospital, postgres: LocalStack
) -> None:
    """It is named in the log, and goes with the next sweep that finds it well."""
    ids = _old(services, alice, 3, is_stuck=False)
    whose = alice.organisation_id
    with stiff(postgres, "sessions", str(ids[1])), capture_logs() as logs:
        sweep.sweep_one(services.database, whose, now=utc_now())
        assert _left(services, ids) == 1
    failed = [one["row_id"] for one in logs if one["event"] == "retention_failed"]
    assert failed == [str(ids[1])]
    sweep.sweep_one(services.database, whose, now=utc_now())
    assert _left(services, ids) == 0


def test_a_file_that_cannot_go_keeps_no_other(filing: Filing, postgres: LocalStack) -> None:
    """The same for what is ended one by one."""
    services, whose = filing.services, filing.hospital.organisation_id
    ids = [filing.share("report", samples.pdf())["id"] for _ in range(3)]
    filing.hospital.post(f"/sessions/{filing.session['id']}/end")
    later = utc_now() + timedelta(days=DEFAULT.keep_files_days + 1)
    with stiff(postgres, "session_files", ids[0]), capture_logs() as logs:
        sweep.sweep_one(services.database, whose, now=later)
        assert [filing.read(one)["state"] == "deleted" for one in ids] == [False, True, True]
    failed = [one["row_id"] for one in logs if one["event"] == "retention_failed"]
    assert failed == [ids[0]]
    sweep.sweep_one(services.database, whose, now=later)
    assert filing.read(ids[0])["state"] == "deleted"


def test_the_row_of_a_stray_that_was_nobodys_ends_too(services: Services, alice: Hospital) -> None:
    """No organisation's transaction finds it, so one of none does."""
    days = timedelta(days=DEFAULT.keep_records_days)
    now = utc_now()
    with services.database.begin() as db:
        old = db.scalar(NOBODYS, {"at": now - days - timedelta(hours=1)})
        young = db.scalar(NOBODYS, {"at": now - days + timedelta(hours=1)})
    sweep.sweep(services.database, now=now)
    with services.database.begin() as db:
        assert [db.scalar(STORED, {"id": one}) for one in (old, young)] == [0, 1]


@pytest.mark.parametrize("visit_type", [None, "surgery"])
def test_a_policy_that_is_corrected_holds_at_once(
    services: Services, alice: Hospital, visit_type: str | None
) -> None:
    """Who sets a time too short by mistake, and sees it while a worker deletes, saves the rest."""
    ids = _old(services, alice, 3, is_stuck=False)
    keep = '"keep_records_days": 3650'
    rule = f'{{{keep}, "visit_types": {{"surgery": {{{keep}}}}}}}'
    with services.database.begin() as db:
        db.execute(
            text("UPDATE teleconference.sessions SET visit_type = :type WHERE id = ANY(:ids)"),
            {"type": visit_type, "ids": ids},
        )

    def correct() -> bool:
        """Be asked whether to stop: the worker has begun."""
        with services.database.begin() as db:
            db.execute(RULE, {"rule": rule, "whose": alice.organisation_id})
        return False

    before = '{"visit_types": {"surgery": {}}}'
    with services.database.begin() as db:
        db.execute(RULE, {"rule": before, "whose": alice.organisation_id})
    whose = alice.organisation_id
    sweep.sweep_one(services.database, whose, now=utc_now(), is_stopped=correct)
    assert _left(services, ids) == len(ids)
