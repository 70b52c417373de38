"""An operator gives programs their credentials, changes them in use, and takes them away."""

import json
from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest
from flask import Flask

from app.access.scopes import SCOPE_SETS, SCOPES, resolve
from app.clock import utc_now
from app.errors import Conflict, NotFound
from app.localstack.supervisor import LocalStack
from app.organisations import clients
from app.services import Services
from tests.api.hospital import Hospital
from tests.api.records import audit_of, dump
from tests.command_line import run

DAY = timedelta(days=1)


def done(stack: LocalStack, *words: str) -> Any:
    """Run a command that must succeed and return what it prints."""
    ended = run(stack, *words, "--json")
    assert ended.exit_code == 0, ended.stderr
    return json.loads(ended.stdout.splitlines()[-1])


def opens(app: Flask, client_id: str, secret: str) -> bool:
    """Tell whether a secret gets a token."""
    form = {"grant_type": "client_credentials", "client_id": client_id, "client_secret": secret}
    return app.test_client().post("/oauth/token", data=form).status_code == 200


def test_from_making_to_revoking_on_the_command_line(
    app: Flask, postgres: LocalStack, alice: Hospital, services: Services
) -> None:
    """Each secret is shown once, and each act is noted."""
    organisation = str(alice.organisation_id)
    made = done(
        postgres, "client", "create", "--organisation", organisation, "--name", "Audit",
        "--team", "secops",
    )  # fmt: skip
    client_id, first = made["client_id"], made["client_secret"]
    assert made["scopes"] == ["audit:read"]
    assert opens(app, client_id, first)
    second = done(postgres, "client", "rotate", client_id)["client_secret"]
    assert opens(app, client_id, first)
    assert opens(app, client_id, second)
    third = done(postgres, "client", "rotate", client_id, "--now")["client_secret"]
    assert [opens(app, client_id, one) for one in (first, second, third)] == [False, False, True]
    listed = done(postgres, "client", "list", "--organisation", organisation)
    [mine] = [one for one in listed if one["client_id"] == client_id]
    assert len(mine["secrets"]) == 1
    assert mine["secrets"][0]["last_used_at"]
    done(postgres, "client", "revoke", client_id)
    assert not opens(app, client_id, third)
    noted = [
        entry.action
        for entry in audit_of(services, alice.organisation_id)
        if entry.detail.get("client_id") == client_id
    ]
    assert noted == ["client.created", "client.rotated", "client.rotated", "client.revoked"]
    text = dump(postgres)
    assert not [secret for secret in (first, second, third) if secret in text]


@pytest.mark.parametrize(
    ("words", "code", "said"),
    [
        (("client", "rotate", str(uuid4())), 1, "no such client"),
        (("client", "revoke", str(uuid4())), 1, "no such client"),
        (("client", "create", "--organisation", str(uuid4()), "--name", "x"), 1, "organisation"),
        (("client", "create", "--organisation", "x", "--name", "x"), 2, "not a valid UUID"),
        (("client", "rotate", str(uuid4()), "--overlap-h", "-1"), 2, "--overlap-h"),
        (("oidc", "remove", str(uuid4())), 1, "no such identity provider"),
        (
            (
                "oidc",
                "add",
                "--organisation",
                str(uuid4()),
                "--issuer",
                "https://a.example",
                "--client-id",
                "x",
                "--role",
                "a=clinic",
            ),
            1,
            "no such organisation",
        ),
    ],
)
def test_what_an_operator_did_wrong_is_said_in_a_sentence(
    postgres: LocalStack, words: tuple[str, ...], code: int, said: str
) -> None:
    """On standard error, with the exit code scripts look at."""
    ended = run(postgres, *words)
    assert (ended.exit_code, ended.stdout) == (code, "")
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr


def test_an_issuer_is_added_listed_and_removed(postgres: LocalStack, alice: Hospital) -> None:
    """With what its roles allow, and what to tell it of us."""
    organisation, issuer = str(alice.organisation_id), f"https://{uuid4()}.example"
    words = ["oidc", "add", "--organisation", organisation, "--issuer", issuer]
    words += ["--client-id", "teleconsult", "--role", "doctor=clinic"]
    added = done(postgres, *words, "--role", "security=audit:read,emergency:review")
    assert added["redirect_uri"].endswith("/staff/callback")
    assert added["sign_in_uri"].endswith(f"/staff/sign-in/{organisation}")
    assert added["roles"] == {
        "doctor": list(resolve(["clinic"])),
        "security": ["audit:read", "emergency:review"],
    }
    again = run(postgres, *words)
    assert (again.exit_code, "vouches for an organisation already" in again.stderr) == (1, True)
    [listed] = done(postgres, "oidc", "list", "--organisation", organisation)
    assert (listed["issuer"], listed["audience"]) == (issuer, "teleconsult")
    out = done(postgres, "oidc", "sign-out", added["provider_id"], "ada@alice.example")
    assert out["sessions_ended"] == 0
    done(postgres, "oidc", "remove", added["provider_id"])
    assert done(postgres, "oidc", "list", "--organisation", organisation) == []
    plain = [word.replace("https://", "http://") for word in words]
    assert run(postgres, *plain).exit_code == 2
    unknown = run(postgres, *words[:-1], "doctor=everything")
    assert (unknown.exit_code, "neither a scope nor a set" in unknown.stderr) == (2, True)


def test_an_old_secret_ends_by_itself(services: Services, alice: Hospital) -> None:
    """After the overlap, and never later because of another rotation."""
    client_id, now = str(alice.client_id), utc_now()

    def is_good(secret: str, after: timedelta) -> bool:
        with services.database.begin() as db:
            found = clients.list_clients(db, organisation_id=alice.organisation_id, now=now + after)
            try:
                clients.authenticate(db, client_id=client_id, secret=secret, now=now + after)
            except Exception:  # noqa: BLE001 - the only refusal there is
                return False
        return bool(found)

    with services.database.begin() as db:
        made = clients.rotate_secret(db, client_id=alice.client_id, overlap=DAY, now=now)
    assert is_good(alice.client_secret, DAY - timedelta(seconds=1))
    assert not is_good(alice.client_secret, DAY)
    with services.database.begin() as db:
        clients.rotate_secret(db, client_id=alice.client_id, overlap=9 * DAY, now=now)
    assert not is_good(alice.client_secret, DAY)
    assert is_good(made.secret, 8 * DAY)
    assert not is_good(made.secret, 9 * DAY)


def test_a_revoked_client_gets_no_new_secret(services: Services, alice: Hospital) -> None:
    """Revoking is for good, and twice is no error."""
    for _ in range(2):
        with services.database.begin() as db:
            clients.revoke_client(db, client_id=alice.client_id, now=utc_now())
    with pytest.raises(Conflict), services.database.begin() as db:
        clients.rotate_secret(db, client_id=alice.client_id, overlap=DAY, now=utc_now())
    with pytest.raises(NotFound), services.database.begin() as db:
        clients.rotate_secret(db, client_id=uuid4(), overlap=DAY, now=utc_now())


def test_every_scope_is_in_a_set_and_every_set_has_scopes_that_exist() -> None:
    """The teams of the hospital's access table, and nothing that nobody could be given."""
    assert {"netops", "secops", "appops", "devops"} <= set(SCOPE_SETS)
    assert {scope for scopes in SCOPE_SETS.values() for scope in scopes} == set(SCOPES)
    assert set(SCOPE_SETS["secops"]) == {"audit:read"}
    assert not {s for s in SCOPE_SETS["hospital-system"] if s.startswith(("audit", "emergency"))}
