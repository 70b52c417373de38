"""Encryption of the few secrets we must be able to read again (keys, webhook secrets, answers)."""

from collections.abc import Sequence

from cryptography.fernet import Fernet, MultiFernet


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
            cryptography.fernet.InvalidToken: altered, or none of our master keys made it.
        """
        return self._fernet.decrypt(token)

    def rotate(self, token: bytes) -> bytes:
        """Return the same content encrypted with the first master key."""
        return self._fernet.rotate(token)
