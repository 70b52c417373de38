"""Encryption of the few secrets we must be able to read again (keys, webhook secrets, answers)."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from app.errors import Unavailable


class Vault:
    """Encrypts with the first master key, decrypts with any: so a master key can be rotated."""

    def __init__(self, master_keys: Sequence[str]) -> None:
        self._fernet = MultiFernet([Fernet(key) for key in master_keys])

    def encrypt(self, plain: bytes) -> bytes:
        """Return `plain` encrypted and authenticated (Fernet)."""
        return self._fernet.encrypt(plain)

    def decrypt(self, token: bytes) -> bytes:
        """Return what was encrypted.

        Raises:
            Unavailable: altered, or none of our master keys made it.
        """
        with _known_key():
            return self._fernet.decrypt(token)

    def rotate(self, token: bytes) -> bytes:
        """Return the same content encrypted with the first master key.

        Raises:
            Unavailable: altered, or none of our master keys made it.
        """
        with _known_key():
            return self._fernet.rotate(token)


@contextmanager
def _known_key() -> Iterator[None]:
    try:
        yield
    except InvalidToken as error:
        raise Unavailable(
            "A stored secret was encrypted with a key that is not among MASTER_KEYS.",
            code="master_key_missing",
        ) from error
