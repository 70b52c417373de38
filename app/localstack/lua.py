"""Write Prosody options as Lua source."""

from __future__ import annotations

from collections.abc import Mapping, Sequence


class Raw(str):
    """Lua source that is written as it is."""

    __slots__ = ()


Value = Raw | str | int | bool | Sequence[str] | Sequence[int]


def options(values: Mapping[str, Value]) -> str:
    """Return one `name = value` line per option."""
    return "".join(f"{name} = {literal(value)}\n" for name, value in values.items())


def literal(value: Value) -> str:
    """Return a Python value as a Lua literal."""
    if isinstance(value, Raw):
        return str(value)
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return quoted(value)
    return "{ " + ", ".join(literal(item) for item in value) + " }"


def quoted(text: str) -> str:
    """Return a double-quoted Lua string; all but printable ASCII as decimal escapes."""
    plain = (
        chr(byte) if 32 <= byte < 127 and chr(byte) not in '"\\' else f"\\{byte:03d}"
        for byte in text.encode()
    )
    return '"' + "".join(plain) + '"'
