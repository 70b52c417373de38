"""Secrets of one stack: made once, kept in the data folder, readable by its owner only."""

from __future__ import annotations

import base64
import json
import os
import secrets
from dataclasses import asdict, dataclass, field
from pathlib import Path

FILE_NAME = "secrets.json"


def _password() -> str:
    return secrets.token_hex(24)


def _key() -> str:
    return base64.b64encode(secrets.token_bytes(32)).decode()


def _urlsafe_key() -> str:
    return base64.urlsafe_b64encode(secrets.token_bytes(32)).decode()


@dataclass(frozen=True)
class Secrets:
    """Every secret of the local stack."""

    postgres: str = field(default_factory=_password, repr=False)
    owner: str = field(default_factory=_password, repr=False)
    runtime: str = field(default_factory=_password, repr=False)
    audit: str = field(default_factory=_password, repr=False)
    redis: str = field(default_factory=_password, repr=False)
    focus: str = field(default_factory=_password, repr=False)
    recorder: str = field(default_factory=_password, repr=False)
    gateway: str = field(default_factory=_password, repr=False)
    turn: str = field(default_factory=_password, repr=False)
    link_key: str = field(default_factory=_key, repr=False)
    audit_key: str = field(default_factory=_key, repr=False)
    master_key: str = field(default_factory=_urlsafe_key, repr=False)
    api_token: str = field(default_factory=_key, repr=False)
    room_events: str = field(default_factory=_key, repr=False)
    recording_files: str = field(default_factory=_key, repr=False)

    @classmethod
    def of(cls, data_dir: Path) -> Secrets:
        """Return the secrets kept in this folder; make the ones that are not there yet."""
        path = data_dir / FILE_NAME
        kept = json.loads(path.read_text()) if path.exists() else {}
        made = cls(**kept)
        if asdict(made) != kept:
            write_private(path, json.dumps(asdict(made), indent=1))
        return made


def write_private(path: Path, text: str) -> None:
    """Replace a file in one step; only its owner may read it."""
    draft = path.with_name(path.name + ".new")
    with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "w") as file:
        file.write(text)
    draft.replace(path)
