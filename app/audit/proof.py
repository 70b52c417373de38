"""What makes an audit entry ours: a keyed hash over everything it says.

The database holds entries and hashes but no key, so whoever has only the database can neither
write an entry nor change one without `verify` finding it.
"""

import hmac
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import orjson

from app.setting_values import AuditKey

# The chain of entries that belong to no organisation: strangers, and the operator's own acts.
NOBODY = UUID(int=0)


class AuditKeys:
    """Proves with the first key, checks with the one that is named: so a key can be rotated."""

    def __init__(self, keys: Sequence[AuditKey]) -> None:
        self.current = keys[0]
        self._secrets = {key.key_id: key.secret for key in keys}

    def prove(self, content: bytes) -> tuple[str, bytes]:
        """Return the current key's id and the proof it makes of `content`."""
        return self.current.key_id, hmac.digest(self.current.secret, content, "sha256")

    def knows(self, key_id: str) -> bool:
        """Tell whether this key is among ours."""
        return key_id in self._secrets

    def approves(self, key_id: str, content: bytes, proof: bytes) -> bool:
        """Tell whether the proof was made of this content by the key of that id."""
        secret = self._secrets.get(key_id)
        if secret is None:
            return False
        return hmac.compare_digest(hmac.digest(secret, content, "sha256"), bytes(proof))


class _Process:
    """The keys of this process. `record` is called from everywhere and with nothing but a
    transaction, so they are the process' own, as the set-up of its logs is."""

    keys: AuditKeys | None = None


def use_keys(keys: Sequence[AuditKey]) -> None:
    """Have this process prove its entries with these keys; said once, where it begins."""
    _Process.keys = AuditKeys(keys)


def current_keys() -> AuditKeys:
    """Return the keys of this process."""
    assert _Process.keys is not None, "use_keys comes first"
    return _Process.keys


def canonical_detail(detail: Mapping[str, Any] | None) -> bytes:
    """Return the detail as the one text that is stored and proved: keys in order, no spaces.

    What PostgreSQL makes of it (`jsonb`) and gives back leads to the same text again. Only floats
    from 1e16 on would not; nobody has a use for those here.
    """
    return orjson.dumps(detail or {}, option=orjson.OPT_SORT_KEYS)


def content_of_entry(fields: Sequence[Any], at: datetime, detail: bytes) -> bytes:
    """Return what an entry's proof is made of. A list in JSON: no two entries read alike.

    Args:
        fields: id, organisation, kind and id of the actor, action, outcome, session, participant.
    """
    moment = orjson.dumps([*fields, at.astimezone(UTC)])
    return moment + detail


def content_of_row(row: Any) -> bytes:
    """Return the same for a row read from the table."""
    fields = (
        row.id, row.organisation_id, row.actor_kind, row.actor_id, row.action, row.outcome,
        row.session_id, row.participant_id,
    )  # fmt: skip
    return content_of_entry(fields, row.at, canonical_detail(row.detail))


def content_of_seal(previous: bytes, seal: Any) -> bytes:
    """Return what a seal's hash is made of: its own place, its entry, and the seal before it."""
    return orjson.dumps(
        [
            bytes(previous).hex(),
            seal.organisation_id,
            seal.number,
            seal.entry_id,
            seal.entry_at.astimezone(UTC),
            bytes(seal.proof).hex(),
            seal.is_genuine,
        ]
    )


def content_of_checkpoint(checkpoint: Any) -> bytes:
    """Return what a checkpoint's proof is made of."""
    return orjson.dumps(
        [
            "checkpoint",
            checkpoint.organisation_id,
            checkpoint.number,
            bytes(checkpoint.hash).hex(),
            checkpoint.purged_before.astimezone(UTC),
        ]
    )
