"""The ends of the chains, told outside the database.

Whoever cuts the end off a chain, entries and seals together, leaves a shorter chain that is whole.
Only what was noted elsewhere shows that it was longer: a line of the log, which the hospital keeps
where the database's administrator cannot write, or a file.
"""

import errno
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from uuid import UUID

import orjson
import structlog

from app.audit.sealer import Head

log = structlog.get_logger()

EVENT = "audit_anchor"
# Enough of a hash that nobody finds another chain with it.
HASH_BYTES = 16


class Anchors:
    """What the given files say of the chains."""

    def __init__(self) -> None:
        self.chains: dict[UUID, Chain] = {}

    def read(self, path: Path) -> None:
        """Take the anchors out of a file of JSON lines, be it the anchor file or a log.

        Lines that are no anchor are passed over: logs hold others, and may end in half a line.
        """
        with path.open("rb") as file:
            for line in file:
                if EVENT.encode() in line:
                    self._take(line)

    def _take(self, line: bytes) -> None:
        try:
            # The last one of the line: before it may be what a full disk left of another.
            said = orjson.loads(line[line.rindex(b"{") :])
            chain, number = UUID(said["organisation_id"]), int(said["number"])
            short = bytes.fromhex(said["hash"])[:HASH_BYTES]
        except (ValueError, KeyError, TypeError):
            return
        self.chains.setdefault(chain, Chain()).add(number, short)


@dataclass
class Chain:
    """One chain as the anchors have it."""

    hashes: dict[int, bytes] = field(default_factory=dict)
    last: int = 0
    contradiction: int | None = None

    def add(self, number: int, short: bytes) -> None:
        """Note one anchor. Two that differ at one number: the chain was cut, and grew anew."""
        if self.hashes.setdefault(number, short) != short:
            self.contradiction = min(number, self.contradiction or number)
        self.last = max(self.last, number)

    def denies(self, number: int, hash_: bytes) -> bool:
        """Tell whether an anchor at this number has another hash."""
        short = self.hashes.get(number)
        return self.contradiction == number or (
            short is not None and short != bytes(hash_)[:HASH_BYTES]
        )


def tell(heads: Mapping[UUID, Head], path: str, *, now: datetime) -> None:
    """Tell the ends of these chains to the log and, if there is a path, to the anchor file."""
    lines = [_line(chain, head, now) for chain, head in heads.items()]
    for line in lines:
        log.info(EVENT, **line)
    if path and lines:
        _append(Path(path), (orjson.dumps({"event": EVENT, **line}) + b"\n" for line in lines))


def _line(chain: UUID, head: Head, now: datetime) -> dict[str, str | int]:
    return {
        "organisation_id": str(chain),
        "number": head.number,
        "hash": head.hash.hex(),
        "at": now.isoformat(),
    }


def _append(path: Path, lines: Iterable[bytes]) -> None:
    # Opened anew each time, so that a rotated file is let go. One write: never half a line between.
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o640)
    try:
        text = b"".join(lines)
        if os.write(descriptor, text) < len(text):
            raise OSError(errno.ENOSPC, "only a part of the anchors was written", str(path))
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
