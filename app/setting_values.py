"""How single settings are read: keys, rates, addresses. `app.settings` says which there are."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeVar
from urllib.parse import urlsplit

from cryptography.fernet import Fernet
from environs import FileAwareEnv
from limits import parse

from app.signing import decode_secret

Value = TypeVar("Value")

NO_LIMIT = "off"


@dataclass(frozen=True, slots=True)
class LinkKey:
    """One key from which link codes are derived; `key_id` is stored beside each link."""

    key_id: str
    secret: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class Rate:
    """So many in so many seconds."""

    amount: int
    window_s: int


@dataclass(frozen=True, slots=True)
class AuditKey:
    """One key that proves audit entries; `key_id` is stored beside each."""

    key_id: str
    secret: bytes = field(repr=False)


def with_driver(url: str) -> str:
    """Name our driver in a plain URL: SQLAlchemy's own choice is another one."""
    return url.replace("postgresql://", "postgresql+psycopg2://", 1)


def each(env: FileAwareEnv, name: str, read: Callable[[str], Value]) -> tuple[Value, ...]:
    """Read a list of which the first is current; what is wrong with one is said with its name."""
    texts: list[str] = env.list(name)
    try:
        values = tuple(read(text) for text in texts)
    except ValueError as error:
        raise ValueError(f"{name}: {error}") from error
    if not values:
        raise ValueError(f"{name} is empty.")
    return values


def signing_secrets(env: FileAwareEnv, name: str) -> tuple[bytes, ...]:
    """Read secrets that only one process has, and no deployment must."""
    return each(env, name, decode_secret) if env.str(name, "") else ()


def link_key(text: str) -> LinkKey:
    """Read `key_id:base64` as a key of link codes."""
    return LinkKey(*named_key(text))


def audit_key(text: str) -> AuditKey:
    """Read `key_id:base64` as a key of the audit log."""
    return AuditKey(*named_key(text))


def named_key(text: str) -> tuple[str, bytes]:
    """Read a name and the secret behind it."""
    key_id, separator, secret = text.strip().partition(":")
    if not (key_id and separator):
        raise ValueError("It wants key_id:base64 pairs, separated by commas.")
    return key_id, decode_secret(secret)


def fernet_key(text: str) -> str:
    """Return the text if it is a Fernet key."""
    Fernet(text)  # refuses what is no key
    return text


def rate(env: FileAwareEnv, name: str, default: str) -> Rate | None:
    """Read a rate like 600/minute; None is no limit."""
    text: str = env.str(name, default)
    if text == NO_LIMIT:
        return None
    try:
        item = parse(text)
    except ValueError as error:
        raise ValueError(f"{name} must be like 600/minute.") from error
    return Rate(item.amount, item.get_expiry())


def origins(env: FileAwareEnv) -> tuple[str, ...]:
    """Read the origins that may call from a browser."""
    texts: list[str] = env.list("CORS_ORIGINS", [])
    return tuple(origin(text) for text in texts)


def origin(text: str) -> str:
    """Return the text if it is an origin, or `*`."""
    origin = text.strip().rstrip("/")
    parts = urlsplit(origin)
    if origin != "*" and (origin != f"{parts.scheme}://{parts.netloc}" or not parts.netloc):
        raise ValueError("CORS_ORIGINS wants origins like https://ehr.hospital.example, or *.")
    return origin


def optional_url(env: FileAwareEnv, name: str) -> str:
    """Read an address; an empty one is none."""
    url = env.str(name, "").rstrip("/")
    if url and urlsplit(url).scheme not in ("http", "https"):
        raise ValueError(f"{name} must be an http or https address.")
    return url


def clamd_address(env: FileAwareEnv) -> str:
    """Read where the malware scanner listens: `host:port`, or the path of its socket."""
    text: str = env.str("CLAMD_ADDRESS", "")
    _, colon, port = text.rpartition(":")
    if text and not text.startswith("/") and not (colon and port.isdecimal()):
        raise ValueError("CLAMD_ADDRESS must be host:port or the path of a socket.")
    return text
