"""Names of files as people see them. No path is ever made of one."""

import re
import unicodedata
from pathlib import PurePosixPath

LONGEST = 120
# Control and format characters (what turns the reading direction hides an ending), separators of
# lines, and what some system takes for a path, a device or a wildcard.
UNWANTED = re.compile(
    r'[\x00-\x1f\x7f-\x9f\u061c<>:"|?*\u200b-\u200f\u2028-\u202e\u2060-\u2069\ufeff]'
)
NAMELESS = "file"


def clean(name: str) -> str:
    """Return the last part of what was sent as a name, without anything that could mislead."""
    last = re.split(r"[/\\]", unicodedata.normalize("NFC", name))[-1]
    plain = UNWANTED.sub("", last).strip(" .")
    stem, ending = _parted(plain)
    return (stem[: LONGEST - len(ending)] + ending) or NAMELESS


def with_ending(name: str, ending: str) -> str:
    """Return a name that ends as its content demands, and not as its sender wrote it."""
    stem, found = _parted(name)
    same = {".jpeg", ".jpg"}
    if found.lower() == ending or {found.lower(), ending} <= same:
        return name
    return (stem or NAMELESS)[: LONGEST - len(ending)] + ending


def _parted(name: str) -> tuple[str, str]:
    path = PurePosixPath(name)
    ending = path.suffix if re.fullmatch(r"\.[A-Za-z0-9]{1,8}", path.suffix) else ""
    return name.removesuffix(ending) if ending else name, ending
