"""Prosody's configuration is written as valid Lua."""

import subprocess

import pytest

from app.localstack.lua import Raw, Value, literal


@pytest.mark.parametrize(
    ("value", "lua"),
    [
        (True, "true"),
        (7, "7"),
        ("a", '"a"'),
        ('"\\\n', '"\\034\\092\\010"'),
        (["a", "b"], '{ "a", "b" }'),
        ([5280], "{ 5280 }"),
        (Raw("{}"), "{}"),
    ],
)
def test_values_become_lua_literals(value: Value, lua: str) -> None:
    """Strings are quoted and escaped, lists are tables."""
    assert literal(value) == lua


def test_lua_reads_back_what_was_written() -> None:
    """A path or secret with quotes, digits after escapes or umlauts arrives unchanged."""
    text = 'Zürich "7"\\1\n2'

    printed = subprocess.run(
        ["lua5.4", "-e", f"io.write({literal(text)})"], capture_output=True, check=True
    )

    assert printed.stdout.decode() == text
