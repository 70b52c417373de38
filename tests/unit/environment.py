"""The least a process needs in its environment, for tests that start none."""

from base64 import b64encode
from collections.abc import Mapping

import pytest

from app.settings import Settings, setting_names

SECRET = bytes(range(32))
KEY = b64encode(SECRET).decode()
REQUIRED = {
    "DATABASE_URL": "postgresql://runtime@db/teleconsult",
    "REDIS_URL": "redis://redis:6379/0",
    "PUBLIC_URL": "https://teleconsult.example/",
    "LINK_KEYS": f"one:{KEY}",
    "AUDIT_KEYS": f"one:{KEY}",
    "MASTER_KEYS": KEY,
    "API_TOKEN_SECRET": KEY,
    "ROOM_EVENTS_SECRET": KEY,
    "XMPP_COMPONENT_SECRET": "component",
}


def prepare(environment: pytest.MonkeyPatch, values: Mapping[str, str]) -> None:
    """Set what is required and `values`, and none of our other settings."""
    for name in setting_names():
        environment.delenv(name, raising=False)
        environment.delenv(f"{name}_FILE", raising=False)
    for name, value in {**REQUIRED, **values}.items():
        environment.setenv(name, value)


def settings_of(values: Mapping[str, str]) -> Settings:
    """Return the settings of a process with this environment."""
    with pytest.MonkeyPatch.context() as environment:
        prepare(environment, values)
        return Settings.from_env()
