"""`/organisation`: the policy read and changed, over REST and at the command line."""

import json
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from app.access.scopes import SCOPE_SETS
from app.clock import utc_now
from app.localstack.supervisor import LocalStack
from app.services import Services
from app.web.auth import issue_token
from tests import command_line
from tests.api.hospital import Hospital
from tests.api.problems import problem
from tests.api.records import audit_of


def patch(hospital: Hospital, body: Any, tag: str = "") -> Any:
    """Change the organisation, as read unless an ETag is given."""
    tag = tag or hospital.get("/organisation").headers["ETag"]
    return hospital.patch("/organisation", json=body, headers={"If-Match": tag})


def policy(hospital: Hospital) -> dict[str, Any]:
    """Read the policy."""
    return dict(hospital.get("/organisation").get_json()["policy"])


def test_whoever_decides_nothing_has_the_defaults(alice: Hospital) -> None:
    """All of them are shown."""
    answer = alice.get("/organisation")
    body = answer.get_json()
    assert (body["id"], body["name"], answer.headers["ETag"]) == (
        str(alice.organisation_id),
        "Alice Hospital",
        '"1"',
    )
    assert body["policy"] == {
        "early_join_s": None,
        "late_after_s": 300,
        "no_show_after_s": 1800,
        "overrun_after_s": 0,
        "end_empty_after_s": 900,
        "end_forgotten_after_s": 14400,
        "waiting_room": True,
        "recording_yields": False,
        "keep_recordings_days": 90,
        "keep_files_days": 90,
        "keep_contacts_days": 30,
        "keep_records_days": 2557,
        "reminders_s": [86400, 3600],
        "quiet_from": "21:00",
        "quiet_to": "07:00",
        "timezone": "UTC",
        "visit_types": {},
    }


def test_what_is_left_out_stays_and_null_takes_back(alice: Hospital) -> None:
    """Also inside a kind of visit."""
    first = {"late_after_s": 60, "visit_types": {"follow-up": {"late_after_s": 9}}}
    assert patch(alice, {"policy": first}).status_code == 200
    second = {"timezone": "Europe/Berlin", "reminders_s": [600, 3600, 600]}
    answer = patch(alice, {"name": "Alice West", "locale": "de", "policy": second})
    assert (answer.get_json()["name"], answer.get_json()["version"]) == ("Alice West", 3)
    now = policy(alice)
    assert (now["late_after_s"], now["timezone"]) == (60, "Europe/Berlin")
    assert now["reminders_s"] == [3600, 600]
    assert now["visit_types"] == {"follow-up": {"late_after_s": 9}}
    patch(alice, {"policy": {"late_after_s": None, "visit_types": {"follow-up": None}}})
    assert (policy(alice)["late_after_s"], policy(alice)["visit_types"]) == (300, {})


def test_it_is_audited_by_the_names_of_the_fields(alice: Hospital, services: Services) -> None:
    """Who and what; a name itself is no business of the log."""
    patch(alice, {"name": "Zzyzx", "policy": {"waiting_room": False}})
    entry = audit_of(services, alice.organisation_id)[-1]
    assert (entry.action, entry.actor_id) == ("organisation.updated", str(alice.client_id))
    assert entry.detail == {"fields": ["name", "policy.waiting_room"]}


@pytest.mark.parametrize(
    ("decision", "field"),
    [
        ({"late_after_s": -1}, "late_after_s"),
        ({"late_after_s": 1.5}, "late_after_s"),
        ({"late_after_s": "60"}, "late_after_s"),
        ({"end_empty_after_s": 604_801}, "end_empty_after_s"),
        ({"waiting_room": "yes"}, "waiting_room"),
        ({"reminders_s": [59]}, "reminders_s.0"),
        ({"reminders_s": [60] * 6}, "reminders_s"),
        ({"quiet_from": "24:00"}, "quiet_from"),
        ({"quiet_to": "7:00"}, "quiet_to"),
        ({"timezone": "Mars/Olympus"}, "timezone"),
        ({"colour": "red"}, "colour"),
        ({"visit_types": {"Follow Up": {}}}, "visit_types.Follow Up.key"),
        ({"visit_types": {"a": {"late_after_s": -1}}}, "visit_types.a.value.late_after_s"),
        ({"visit_types": {"a": {"timezone": "UTC"}}}, "visit_types.a.value.timezone"),
    ],
)
def test_a_decision_that_cannot_be_meant_is_refused(
    alice: Hospital, decision: dict[str, Any], field: str
) -> None:
    """422 with the field, and nothing changed."""
    problem(patch(alice, {"policy": decision}), 422, "invalid_request", f"policy.{field}")
    assert alice.get("/organisation").headers["ETag"] == '"1"'


def test_a_stale_copy_changes_nothing(alice: Hospital) -> None:
    """412; 428 without any."""
    assert patch(alice, {"locale": "de"}).status_code == 200
    problem(patch(alice, {"locale": "fr"}, '"1"'), 412, "version_outdated")
    problem(alice.patch("/organisation", json={"locale": "fr"}), 428, "precondition_required")
    assert alice.get("/organisation").get_json()["locale"] == "de"


KEPT = {"keep_files_days": 20, "visit_types": {"surgery": {"keep_recordings_days": 3650}}}


@pytest.mark.parametrize(
    "shorter",
    [
        {"keep_recordings_days": 1},
        {"keep_contacts_days": 29},
        {"visit_types": {"surgery": {"keep_files_days": 19}}},
        {"visit_types": {"surgery": None}},
        {"visit_types": {"surgery": {"keep_recordings_days": None}}},
    ],
)
def test_who_configures_does_not_delete(
    alice: Hospital, services: Services, shorter: dict[str, Any]
) -> None:
    """Keeping things for less time needs the scope that deletes, too; longer, and all else, not."""
    assert patch(alice, {"policy": KEPT}).status_code == 200
    appops = replace(alice, token=_token(alice, services, SCOPE_SETS["appops"]))
    longer = {"late_after_s": 9, "keep_files_days": 21, "keep_records_days": 3000}
    assert patch(appops, {"policy": longer}).status_code == 200
    before = policy(alice)
    problem(patch(appops, {"policy": shorter}), 403, "scope_missing")
    assert policy(alice) == before
    assert audit_of(services, alice.organisation_id)[-1].detail["code"] == "scope_missing"
    both = (*SCOPE_SETS["appops"], "recordings:delete")
    records = replace(alice, token=_token(alice, services, both))
    assert patch(records, {"policy": shorter}).status_code == 200


def _token(hospital: Hospital, services: Services, scopes: tuple[str, ...]) -> str:
    return issue_token(
        client_id=hospital.client_id,
        organisation_id=hospital.organisation_id,
        scopes=scopes,
        secret=services.settings.api_token_secret[0],
        ttl_s=900,
        now=utc_now(),
    )


class TestCommandLine:
    """`teleconsult organisation show|set`, `teleconsult directory import`."""

    @pytest.fixture
    def run(self, postgres: LocalStack) -> Any:
        """Run a command with the stack's settings."""
        return partial(command_line.run, postgres)

    def test_set_and_show(self, run: Any, alice: Hospital) -> None:
        """Values are JSON or text; for one kind of visit if named."""
        number = str(alice.organisation_id)
        assert run("organisation", "set", number, "late_after_s=60", "timezone=Europe/Paris")
        made = run("organisation", "set", number, "late_after_s=9", "--visit-type", "follow-up")
        assert made.exit_code == 0, made.stderr
        shown = json.loads(run("organisation", "show", number).stdout.splitlines()[-1])
        assert shown["policy"] == policy(alice)
        assert shown["policy"]["visit_types"] == {"follow-up": {"late_after_s": 9}}

    @pytest.mark.parametrize("word", ["late_after_s=-1", "colour=red", "late_after_s"])
    def test_what_cannot_be_meant_is_refused(self, run: Any, alice: Hospital, word: str) -> None:
        """In one sentence, with exit code 1."""
        refused = run("organisation", "set", str(alice.organisation_id), word)
        assert refused.exit_code == 1
        assert word.partition("=")[0] in refused.stderr
        assert alice.get("/organisation").headers["ETag"] == '"1"'

    def test_the_directory_is_imported_again_and_again(
        self, run: Any, alice: Hospital, tmp_path: Path
    ) -> None:
        """A repeated reference replaces what was said; ids stay, so appointments do."""
        file = tmp_path / "people.ndjson"
        names = []
        for name in ("Sam Rivera", "Sam Rivera-Okafor"):
            lines = [
                {"kind": "patient", "reference": "p", "display_name": name},
                {"kind": "provider", "reference": "d", "display_name": "Dr. Okafor"},
            ]
            file.write_text("\n".join(map(json.dumps, lines)) + "\n\n")
            done = run(
                "directory", "import", str(file), "--organisation", str(alice.organisation_id)
            )
            assert done.exit_code == 0, done.stderr
            assert json.loads(done.stdout.splitlines()[-1]) == {"patient": 1, "provider": 1}
            body = {"patient_reference": "p", "provider_reference": "d"}
            times = {"start": "2050-01-01T10:00:00Z", "end": "2050-01-01T10:30:00Z"}
            names.append(alice.post("/appointments", json={**body, **times}).get_json()["patient"])
        assert [one["display_name"] for one in names] == ["Sam Rivera", "Sam Rivera-Okafor"]
        assert names[0]["id"] == names[1]["id"]

    @pytest.mark.parametrize(
        ("line", "said"),
        [
            ("{", "Line 2 is no JSON."),
            ('{"kind": "patient"}', "Line 2: not acceptable: display_name, reference."),
            ('{"kind": "king", "reference": "x", "display_name": "X"}', "kind"),
        ],
    )
    def test_a_line_that_is_no_person_is_named_and_nothing_is_written(
        self, run: Any, alice: Hospital, tmp_path: Path, line: str, said: str
    ) -> None:
        """All or nothing, so that a file can simply be corrected and sent again."""
        file = tmp_path / "people.ndjson"
        good = {"kind": "patient", "reference": "p", "display_name": "Sam"}
        file.write_text(f"{json.dumps(good)}\n{line}\n")
        refused = run(
            "directory", "import", str(file), "--organisation", str(alice.organisation_id)
        )
        assert said in refused.stderr
        body = {"patient_reference": "p", "provider_reference": "d"}
        times = {"start": "2050-01-01T10:00:00Z", "end": "2050-01-01T10:30:00Z"}
        answer = alice.post("/appointments", json={**body, **times})
        problem(answer, 422, "person_unknown", "patient_reference")

    def test_an_organisation_that_is_none(self, run: Any) -> None:
        """Said, not made."""
        refused = run("organisation", "show", str(uuid4()))
        assert "no such organisation" in refused.stderr
