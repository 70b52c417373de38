"""The short way in front of Flask: nobody can tell which of the two answered."""

from dataclasses import replace
from datetime import datetime
from typing import Any, NoReturn, cast

import pytest
from flask import Flask
from sqlalchemy.exc import DataError, OperationalError

from app.adapters.memory import MemoryRooms
from app.factory import create_app
from app.localstack.supervisor import LocalStack
from app.organisations.keys import KeyRing
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.prosody import ADMISSION, EVENTS
from tests.api.records import code_of, types_of


@pytest.fixture
def path(alice: Hospital) -> str:
    """The exchange of a doctor who may enter."""
    doctor = alice.invite(alice.new_session()["id"], "doctor")
    return f"/j/{code_of(doctor)}/token"


def test_both_ways_give_the_same_answer(app: Flask, path: str) -> None:
    """A body whose length is not told goes to Flask."""
    client = app.test_client()
    short = client.post(path, data=b"{}", content_type="application/json")
    long = client.post(path, headers={"Transfer-Encoding": "chunked"})
    assert (short.status_code, long.status_code) == (200, 200)
    assert short.get_json().keys() == long.get_json().keys()
    for name in ("Content-Type", "Cache-Control"):
        assert short.headers[name] == long.headers[name]
    assert short.headers["X-Request-Id"] != long.headers["X-Request-Id"]


def test_both_ways_remove_alike(app: Flask, alice: Hospital, live: MemoryRooms) -> None:
    """Status, body and headers; and the room hears of both."""
    session = alice.new_session()
    people = [alice.invite(session["id"])["id"] for _ in range(2)]
    for person in people:
        live.enter(session["room_name"], person)
    paths = [f"/sessions/{session['id']}/participants/{person}" for person in people]
    short = alice.delete(paths[0])
    long = alice.delete(paths[1], headers={"Transfer-Encoding": "chunked"})
    assert (short.status_code, long.status_code) == (200, 200)
    assert dict(short.headers).keys() == dict(long.headers).keys()
    for name in ("Content-Type", "ETag"):
        assert short.headers[name] == long.headers[name]
    own = {"id", "created_at", "removed_at"}
    bodies = [
        [(name, value) for name, value in answer.get_json().items() if name not in own]
        for answer in (short, long)
    ]
    assert bodies[0] == bodies[1]
    assert live.rooms[session["room_name"]].banned == set(people)


def test_an_unconfirmed_removal_is_accepted(alice: Hospital, live: MemoryRooms) -> None:
    """On the short way, too."""
    session = alice.new_session()
    path = f"/sessions/{session['id']}/participants/{alice.invite(session['id'])['id']}"
    live.alive = False
    assert alice.delete(path).status_code == 202


@pytest.mark.parametrize(
    ("more", "code"),
    [
        ({"query_string": {"a": "1"}}, "invalid_request"),
        ({"json": {"a": 1}}, "invalid_request"),
        ({"headers": {"Idempotency-Key": "ä"}}, "idempotency_key_invalid"),
        ({"headers": {"Authorization": "Bearer forged"}}, "token_invalid"),
    ],
)
def test_what_more_a_removal_asks_for_is_heard(
    alice: Hospital, services: Services, more: dict[str, Any], code: str
) -> None:
    """By Flask, which takes over as if nobody had looked at it before."""
    session = alice.new_session()
    person = alice.invite(session["id"])
    path = f"/sessions/{session['id']}/participants/{person['id']}"
    assert alice.delete(path, **more).get_json()["code"] == code
    assert types_of(services, session["id"])[-1] == "participant.invited"


def test_a_body_of_unknown_length_is_read(alice: Hospital, live: MemoryRooms) -> None:
    """In HTTP/2 a body needs no length; for a time is not for good."""
    session = alice.new_session()
    path = f"/sessions/{session['id']}/participants/{alice.invite(session['id'])['id']}"
    unsaid = {"SERVER_PROTOCOL": "HTTP/2", "CONTENT_LENGTH": "", "wsgi.input_terminated": True}
    body = {"ban_s": 60}
    assert (
        alice.delete(path, json=body, environ_overrides=unsaid).get_json()["removed_until"]
        is not None
    )


def test_what_is_not_asked_for_is_refused(app: Flask, path: str) -> None:
    """Body, query and method, on whichever way they come."""
    client = app.test_client()
    problem(client.post(path, json={"a": 1}), 422, "invalid_request")
    problem(client.post(path, query_string={"a": "1"}), 422, "invalid_request", "a")
    problem(client.get(path), 405, "method_not_allowed")
    problem(client.post(path, data=b"x" * 300_000), 413, "body_too_large")
    for internal in (ADMISSION, EVENTS):
        problem(client.get(internal), 405, "method_not_allowed")


def test_a_refusal_carries_the_id_of_its_request(app: Flask) -> None:
    """As every answer does."""
    answer = app.test_client().post("/j/nobodys/token")
    problem(answer, 404, "link_unknown")
    assert answer.headers["X-Request-Id"]


class Broken:
    """A key ring with a bug."""

    def signer(self, now: datetime) -> NoReturn:
        """Fail."""
        raise RuntimeError("swordfish")


def test_a_bug_is_logged_and_not_shown(
    services: Services, path: str, capfd: pytest.CaptureFixture[str]
) -> None:
    """500, and the log names route and request, not the link."""
    app = create_app(replace(services, keys=cast("KeyRing", Broken())))
    answer = app.test_client().post(path)
    problem(answer, 500, "internal_error")
    out, _ = capfd.readouterr()
    assert answer.headers["X-Request-Id"] in out
    assert "/j/<string:code>/token" in out
    assert path not in out
    assert "swordfish" not in out + answer.text


def test_connections_that_were_cut_are_replaced(
    app: Flask, postgres: LocalStack, path: str
) -> None:
    """PostgreSQL started anew between two clicks; nobody sees it."""
    client = app.test_client()
    assert client.post(path).status_code == 200
    with postgres.postgres.as_admin() as admin:
        admin.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity"
            " WHERE application_name = 'teleconsult-tests'"
        )
    assert client.post(path).status_code == 200


def test_an_error_of_a_statement_leaves_the_connection_usable(services: Services) -> None:
    """It is SQLAlchemy's error, without the values in its text."""
    with services.database.direct() as db:
        with pytest.raises(DataError) as error:
            db.run("SELECT 1 / %s", (0,))
        assert not error.value.connection_invalidated
        assert db.run("SELECT %s + 1", (1,)) == (2,)


def test_a_statement_is_prepared_once_on_a_connection(services: Services) -> None:
    """Also when another took its turn between."""
    sums = "SELECT %s::integer + %s"
    with services.database.direct() as db:
        for number in range(3):
            assert db.run(sums, (number, 40)) == (number + 40,)
            assert db.rows("SELECT unnest(%s::text[]) IS NULL", ([],)) == []
        kept = db.rows("SELECT statement FROM pg_prepared_statements", ())
    prepared = [one.partition(" AS ")[2] for (one,) in kept]
    assert prepared.count("SELECT $1::integer + $2") == 1


def test_a_statement_is_prepared_anew_when_a_migration_changes_what_it_returns(
    services: Services, postgres: LocalStack
) -> None:
    """An API that runs while a table gets a column goes on."""
    changed = "SELECT * FROM teleconference.changed WHERE one = %s::integer"
    with postgres.postgres.as_admin() as admin, services.database.direct() as db:
        admin.execute("CREATE TABLE teleconference.changed AS SELECT 1 AS one")
        admin.execute("GRANT SELECT ON teleconference.changed TO role_telehealth")
        try:
            before = db.run(changed, (1,))
            admin.execute("ALTER TABLE teleconference.changed ADD two integer DEFAULT 2")
            after = [db.run(changed, (1,)) for _ in range(2)]
        finally:
            admin.execute("DROP TABLE teleconference.changed")
    assert (before, after) == ((1,), [(1, 2), (1, 2)])


def test_a_connection_that_breaks_in_use_says_so(services: Services) -> None:
    """The caller may try again, and gets another."""
    with services.database.direct() as db:
        with pytest.raises(OperationalError) as error:
            db.run("SELECT pg_terminate_backend(pg_backend_pid())", ())
        assert error.value.connection_invalidated
    with services.database.direct() as db:
        assert db.run("SELECT 1", ()) == (1,)
