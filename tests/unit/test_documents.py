"""The pages of docs/ say what the code does: every error code, every event."""

import ast
import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from jsonschema import Draft202012Validator

from app.db.constraints import CHECKS, CONFLICTS
from app.db.tables import Base
from app.events.members import event_schema
from app.events.types import EVENT_TYPES
from app.notifications.kinds import Dropped
from app.organisations.policy import DEFAULT
from app.rooms.admission import TEXTS
from app.web.problems import HTTP_CODES
from app.webhooks.deliveries import SUBSCRIPTION_INACTIVE
from tests.conftest import repository

# The twin in memory says it to tests only.
NOT_ANSWERED = {"banned"}
# Said in Prosody, by our modules.
SAID_BY_PROSODY = {
    "full", "waiting-for-host", "already-connected", "no-token", "no-conference", "unavailable",
    "banned", "nick-taken", "nick-change", "no-knock",
}  # fmt: skip


def page(name: str) -> str:
    """Return the text of a page."""
    return (repository() / "docs" / name).read_text()


def rows(text: str) -> dict[str, list[str]]:
    """Return the cells of each table row that begins with something in backquotes."""
    found = [line.strip("|").split("|") for line in text.splitlines() if line.startswith("| `")]
    return {cells[0].strip().strip("`"): [cell.strip() for cell in cells[1:]] for cells in found}


def codes_in(tree: ast.AST) -> Iterator[str]:
    """Yield each `code="…"` of a call; what a pattern fills in is written as …"""
    for node in ast.walk(tree):
        if isinstance(node, ast.keyword) and node.arg == "code":
            yield from texts_of(node.value)
        if isinstance(node, ast.Call) and getattr(node.func, "id", "") == "problem":
            yield from texts_of(node.args[1])


def texts_of(node: ast.expr) -> Iterator[str]:
    """Yield the text of a literal or a pattern."""
    if isinstance(node, ast.Constant) and isinstance(node.value, str):
        yield node.value
    elif isinstance(node, ast.JoinedStr):
        parts = [p.value if isinstance(p, ast.Constant) else "…" for p in node.values]
        yield "".join(str(part) for part in parts)


def codes_of_the_code() -> set[str]:
    """Return every code the service may say, as far as the source shows it."""
    folder = repository() / "app"
    sources = [p for p in folder.rglob("*.py") if "localstack" not in p.parts]
    found = {code for path in sources for code in codes_in(ast.parse(path.read_text()))}
    tables = {code for code, *_ in CONFLICTS.values()} | {code for code, *_ in CHECKS.values()}
    return (found | tables | set(HTTP_CODES.values())) - NOT_ANSWERED


def test_every_error_code_is_documented() -> None:
    """A program decides by it, so its author must find it."""
    documented = rows(page("errors.md").split("## At the door")[0])
    missing = {
        code
        for code in codes_of_the_code()
        if not any(re.fullmatch(code.replace("…", ".+"), known) for known in documented)
    }
    assert missing == set()


def test_no_code_is_documented_that_nobody_says() -> None:
    """What is not said any more must leave the page."""
    said = codes_of_the_code()
    # Of the barrier's name, in participants.links; and the last error of a delivery.
    made = {"link_revoked", "link_expired", SUBSCRIPTION_INACTIVE, *Dropped}
    unsaid = {
        known
        for known in rows(page("errors.md").split("## At the door")[0])
        if not any(re.fullmatch(code.replace("…", ".+"), known) for code in said | made)
    }
    assert unsaid - {"http_…"} == set()


def test_every_documented_error_says_what_it_means() -> None:
    """Status and meaning are never empty; what to do is, where there is nothing to do."""
    for code, cells in rows(page("errors.md").split("## At the door")[0]).items():
        status, meaning, _ = cells
        assert meaning, code
        assert code.endswith("_…") or re.search(r"[45]\d\d|health", status) or not status, code


def test_every_reason_at_the_door_of_a_room_is_documented() -> None:
    """The service's own and the modules'."""
    door = rows(page("errors.md").split("## At the door")[1])
    assert {code for code, cells in door.items() if cells[0] == "service"} == set(TEXTS)
    assert {code for code, cells in door.items() if cells[0] == "Prosody"} == SAID_BY_PROSODY


@pytest.mark.parametrize("code", sorted(SAID_BY_PROSODY))
def test_a_reason_said_by_prosody_is_in_its_modules(code: str) -> None:
    """Documentation of Lua is checked against Lua."""
    folder = repository() / "prosody-plugins"
    lua = "\n".join(p.read_text() for p in folder.rglob("*.lua") if "spec" not in p.parts)
    assert f'"{code}"' in lua


def test_the_table_of_events_is_that_of_the_code() -> None:
    """Name, meaning and the members of `data`, in the same order."""
    documented = rows(page("events.md"))
    documented = {name: cells for name, cells in documented.items() if "/" not in name}
    assert documented == {
        t.name: [t.meaning, ", ".join(f"`{d}`" for d in t.data)] for t in EVENT_TYPES.values()
    }


def test_every_example_fits_the_schema_of_its_type() -> None:
    """What programs are told by `GET /events/types` and people by the page is the same."""
    blocks = re.findall(r"```json\n(.*?)```", page("events.md"), re.DOTALL)
    for example in map(json.loads, blocks):
        Draft202012Validator(event_schema(EVENT_TYPES[example["type"]])).validate(example)


def test_every_event_has_an_example_with_exactly_its_members() -> None:
    """Receivers are written after the examples."""
    blocks = re.findall(r"```json\n(.*?)```", page("events.md"), re.DOTALL)
    examples = {one["type"]: one for one in map(json.loads, blocks)}
    assert list(examples) == list(EVENT_TYPES)
    for name, example in examples.items():
        assert set(example) == {
            "id", "type", "timestamp", "sequence", "organisation_id", "data",
        }  # fmt: skip
        assert set(example["data"]) == {"session_id", *EVENT_TYPES[name].data}


def test_every_table_has_an_end_in_the_page_on_retention() -> None:
    """Each once: what is kept in a table nobody named would be kept for ever."""
    named = re.findall(r"`((?:teleconference|clinical)\.\w+)`", page("retention.md"))
    assert sorted(named) == sorted(Base.metadata.tables)


def test_the_page_on_retention_has_the_defaults_of_the_policy() -> None:
    """Whoever decides about days reads them there."""
    documented = {name: cells[0] for name, cells in rows(page("retention.md")).items()}
    kept = {n: str(v) for n, v in DEFAULT.shown().items() if n.startswith("keep_")}
    assert {name: documented[name] for name in kept} == kept


def test_links_between_the_pages_lead_somewhere() -> None:
    """A page that moved is noticed."""
    for source in [repository() / "README.md", *(repository() / "docs").glob("*.md")]:
        for target in re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", source.read_text()):
            assert (source.parent / Path(target)).exists(), f"{source.name}: {target}"


def test_every_operation_has_a_name_of_its_own_and_a_place_on_the_page() -> None:
    """Programs that make clients of the document name their functions after it."""
    document = json.loads(page("openapi.json"))
    operations = [one for path in document["paths"].values() for one in path.values()]
    names = [one["operationId"] for one in operations if isinstance(one, dict)]
    assert len(names) == len(set(names)) > 70
    assert all(re.fullmatch("[a-z]+([A-Z][a-z]*)*", name) for name in names), names
    used = {one["tags"][0] for one in operations if isinstance(one, dict)}
    assert used == {tag["name"] for tag in document["tags"]}
