"""The one clock of the service: what depends on time is given `now` as a value from here."""

from datetime import UTC, datetime


def utc_now() -> datetime:
    """Return the present moment, aware, in UTC."""
    return datetime.now(UTC)


def from_unix(seconds: float) -> datetime:
    """Return the aware UTC moment of a Unix time in seconds, fractions kept."""
    return datetime.fromtimestamp(seconds, UTC)
