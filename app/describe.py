"""The OpenAPI document without any part running: settings that are never used to connect."""

from base64 import b64encode
from dataclasses import fields
from typing import Any

import orjson

from app.factory import create_app
from app.setting_values import AuditKey, LinkKey
from app.settings import Settings
from app.web.openapi import document
from app.wiring import build_services


def openapi_text() -> str:
    """Return the document as it is committed: indented, sorted, one newline at the end."""
    app = create_app(build_services(_settings(), application="teleconsult-cli"))
    options = orjson.OPT_INDENT_2 | orjson.OPT_SORT_KEYS
    return orjson.dumps(document(app), option=options).decode() + "\n"


def _settings() -> Settings:
    by_type: dict[Any, Any] = {int: 1, float: 1.0, bool: False, str: ""}
    values = {f.name: by_type.get(f.type, ()) for f in fields(Settings)}
    return Settings(
        **values
        | {
            "database_url": "postgresql+psycopg2://",
            "redis_url": "redis://localhost",
            "link_keys": (LinkKey("none", bytes(32)),),
            "audit_keys": (AuditKey("none", bytes(32)),),
            "master_keys": (b64encode(bytes(32)).decode(),),
        }
    )
