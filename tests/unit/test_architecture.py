"""House rules that a machine can check."""

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from sqlalchemy import UniqueConstraint

from app.db.constraints import CHECKS, CONFLICTS
from app.db.tables import Base
from tests.conftest import repository

ROOT = repository()
RESOURCES = (
    "access", "appointments", "attendance", "audit", "consents", "directory", "emergencies",
    "events", "feed", "files", "holds", "moderation", "notifications", "organisations",
    "participants", "playback", "recording_files", "recordings", "retention", "rooms", "sessions",
    "storage", "visits", "waiting", "webhooks",
)  # fmt: skip
WITH_ROUTES = tuple(name for name in RESOURCES if (ROOT / "app" / name / "routes.py").exists())
LONGEST_FILE = 300
LONGEST_FUNCTION = 40
FORBIDDEN_NAMES = {"utils", "helpers", "manager", "common", "base_service", "misc"}
Function = ast.FunctionDef | ast.AsyncFunctionDef


def sources(*folders: str) -> list[Path]:
    """Return the Python files under these folders."""
    return sorted(path for folder in folders for path in (ROOT / folder).rglob("*.py"))


@cache
def tree_of(path: Path) -> ast.Module:
    """Return the syntax of a file."""
    return ast.parse(text_of(path))


@cache
def text_of(path: Path) -> str:
    """Return what a file says."""
    return path.read_text()


def imported(path: Path) -> set[str]:
    """Return every module and name a file imports, in dotted form."""
    found: set[str] = set()
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            found |= {str(node.module), *(f"{node.module}.{alias.name}" for alias in node.names)}
    return found


def files_with(text: str, paths: list[Path]) -> set[str]:
    """Return the files whose code (not comments) has `text`; most have it nowhere."""
    candidates = [path for path in paths if text in text_of(path)]
    return {
        str(path.relative_to(ROOT)) for path in candidates if text in ast.unparse(tree_of(path))
    }


def functions(path: Path) -> Iterator[Function]:
    """Yield every function of a file."""
    for node in ast.walk(tree_of(path)):
        if isinstance(node, Function):
            yield node


def length(function: Function) -> int:
    """Return the lines of a function below its signature and docstring."""
    body = function.body
    if ast.get_docstring(function) is not None:
        body = body[1:]
    return (body[-1].end_lineno or 0) - body[0].lineno + 1 if body else 0


@pytest.mark.parametrize("name", RESOURCES)
def test_a_resource_has_the_files_every_resource_has(name: str) -> None:
    """Whoever knows one folder knows them all."""
    present = {path.name for path in (ROOT / "app" / name).glob("*.py")}
    assert {"__init__.py"} <= present
    # rooms: no service but several; moderation and feed: no tables; visits: the appointments';
    # waiting: its table is asked at the door; retention: it ends others' rows
    if name not in ("rooms", "moderation", "feed", "visits", "waiting", "retention"):
        assert {"models.py", "service.py"} <= present
    if "routes.py" in present:
        assert "schemas.py" in present


def test_every_folder_of_the_service_is_a_known_kind() -> None:
    """A new folder is a decision, so it is made here too."""
    folders = {p.name for p in (ROOT / "app").iterdir() if (p / "__init__.py").exists()}
    assert folders == {*RESOURCES, "adapters", "cli", "db", "localstack", "pages", "stream", "web"}


@pytest.mark.parametrize("name", WITH_ROUTES)
def test_a_route_is_a_sentence(name: str) -> None:
    """No `try`, no write and no SQL text: errors are mapped in one place, writes are services'.
    A list's query is a filter handed to the page."""
    path = ROOT / "app" / name / "routes.py"
    tree = tree_of(path)
    tries = [node.lineno for node in ast.walk(tree) if isinstance(node, ast.Try)]
    # Signing in audits its own refusal, which the rollback would take with it.
    assert len(tries) <= (1 if name == "organisations" else 0)
    writes = {f"sqlalchemy.{verb}" for verb in ("insert", "update", "delete", "text")}
    assert imported(path) & writes == set()


@pytest.mark.parametrize("name", RESOURCES)
def test_a_service_knows_no_request(name: str) -> None:
    """It is called by workers and the command line as well."""
    for path in (ROOT / "app" / name).glob("*.py"):
        if not path.name.endswith("routes.py") and path.name != "signed.py":
            assert not {m for m in imported(path) if m.split(".")[0] == "flask"}, path


def test_transactions_are_ended_in_one_place() -> None:
    """A commit in the middle of a service would make half of something true."""
    places = files_with(".commit(", sources("app", "workers"))
    assert {p for p in places if not p.startswith("app/db/")} == set()


def test_the_environment_is_read_in_one_place() -> None:
    """The local stack hands environments to processes, which is not reading settings."""
    found = files_with("os.environ", sources("app", "workers")) | files_with(
        "getenv", sources("app", "workers")
    )
    assert {p for p in found if not p.startswith("app/localstack/")} <= {"app/settings.py"}
    readers = {p for p in sources("app", "workers") if "environs" in imported(p)}
    assert {p.name for p in readers} == {"settings.py", "setting_values.py"}


def test_the_clock_is_read_in_one_place() -> None:
    """What depends on time is given `now`."""
    paths = sources("app", "workers")
    found = files_with("datetime.now", paths) | files_with("utcnow", paths)
    assert found == {"app/clock.py"}


def test_tests_of_the_whole_use_no_mocks() -> None:
    """A patched import path proves that the patch works."""
    others = [p for p in sources("tests") if "unit" not in p.parts]
    users = {p for p in others if any(m.startswith("unittest.mock") for m in imported(p))}
    patched = files_with("monkeypatch.setattr", others)
    assert users == set()
    # One empties a range of numbers, the other sets the clock wrong: no code of ours is replaced.
    assert patched <= {"tests/localstack/test_ports.py", "tests/api/test_rooms_redis.py"}


@pytest.mark.parametrize("folder", ["app", "workers"])
def test_no_file_is_too_long_to_read(folder: str) -> None:
    """300 lines."""
    long = {
        str(path.relative_to(ROOT)): lines
        for path in sources(folder)
        if (lines := len(path.read_text().splitlines())) > LONGEST_FILE
    }
    assert long == {}


@pytest.mark.parametrize("folder", ["app", "workers", "tests"])
def test_no_function_is_too_long_to_read(folder: str) -> None:
    """40 lines below the docstring."""
    long = {
        f"{path.relative_to(ROOT)}:{function.name}": length(function)
        for path in sources(folder)
        for function in functions(path)
        if length(function) > LONGEST_FUNCTION
    }
    assert long == {}


def test_files_are_named_by_what_they_hold() -> None:
    """No drawer for leftovers."""
    stems = {path.stem for path in sources("app", "workers", "tests")}
    assert stems & FORBIDDEN_NAMES == set()


def test_every_public_function_of_the_service_says_what_it_does() -> None:
    """One sentence at least; protocols' stubs and properties included."""
    silent = {
        f"{path.relative_to(ROOT)}:{function.name}"
        for path in sources("app", "workers")
        for function in public_functions(tree_of(path))
        if ast.get_docstring(function) is None
    }
    assert silent == set()


def public_functions(tree: ast.Module) -> Iterator[Function]:
    """Yield functions at the top of a module whose names are public."""
    for node in tree.body:
        if isinstance(node, Function) and not node.name.startswith("_"):
            yield node


def test_nothing_is_left_to_be_done() -> None:
    """A reminder in the code is a promise to nobody; work stands in the issues."""
    words = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b")
    folders = ("app", "workers", "migrations", "prosody-plugins", "tests", "script")
    found = [
        str(path.relative_to(ROOT))
        for folder in folders
        for path in (ROOT / folder).rglob("*")
        if path.suffix in (".py", ".lua", ".js", ".css", ".html") and path != Path(__file__)
        if words.search(path.read_text())
    ]
    assert found == []


def test_the_database_is_asked_with_the_names_of_its_schema() -> None:
    """Each constraint that is translated exists in a model, by the name the database uses."""
    metadata = Base.metadata
    names = {str(c.name) for table in metadata.tables.values() for c in table.constraints}
    indexes = {str(i.name) for table in metadata.tables.values() for i in table.indexes}
    uniques = {
        f"uq_{table.name}_{'_'.join(str(column.name) for column in constraint.columns)}"
        for table in metadata.tables.values()
        for constraint in table.constraints
        if isinstance(constraint, UniqueConstraint)
    }
    assert set(CONFLICTS) | set(CHECKS) <= names | indexes | uniques


def test_the_gateway_loads_no_web_framework_and_no_orm() -> None:
    """It is one process more in every installation, and uses neither."""
    heavy = "{'alembic', 'flask', 'flask_smorest', 'sqlalchemy'}"
    modules = "app.cli.processes, workers.gateway"
    code = f"import sys, {modules}; print(*({heavy} & set(sys.modules)))"
    loaded = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert loaded.stdout.split() == []
