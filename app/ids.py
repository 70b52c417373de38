"""Identifiers: row ids that sort by time, and names that say nothing about a person."""

import secrets
from uuid import UUID

from uuid_utils.compat import uuid7

# RFC 4648 base32, lower case: survives being typed, and Jitsi lower-cases room names anyway.
ROOM_ALPHABET = "abcdefghijklmnopqrstuvwxyz234567"
ROOM_NAME_LENGTH = 20  # 100 bits


def new_id() -> UUID:
    """Return a new UUIDv7 (RFC 9562): unique, and increasing with time."""
    return uuid7()


def new_room_name() -> str:
    """Return a random room name that carries no patient data and cannot be guessed."""
    return "".join(secrets.choice(ROOM_ALPHABET) for _ in range(ROOM_NAME_LENGTH))
