"""Which web pages of other origins may call the API with a token (CORS_ORIGINS)."""

from flask import Flask
from flask_cors import CORS

from app.settings import Settings

# The API alone: pages, and what only Prosody and our own pages call, are never for others.
PATHS = r"^/(?!internal/|staff|j/|assets/|docs).*"
METHODS = ["GET", "POST", "PUT", "PATCH", "DELETE"]
ASKED = ["Authorization", "Content-Type", "If-Match", "Idempotency-Key"]
EXPOSED = [
    "ETag", "Location", "Idempotency-Replayed", "RateLimit", "RateLimit-Policy", "Retry-After",
    "X-Request-Id",
]  # fmt: skip
PREFLIGHT_KEPT_S = 600


def allow_origins(app: Flask, settings: Settings) -> None:
    """Answer preflights and mark answers, for the origins that are named. A token goes along, a
    cookie never: credentials stay off, so `*` gives nobody a signed-in person's rights."""
    if not settings.cors_origins:
        return
    CORS(
        app,
        resources={PATHS: {"origins": list(settings.cors_origins)}},
        methods=METHODS,
        allow_headers=ASKED,
        expose_headers=EXPOSED,
        supports_credentials=False,
        max_age=PREFLIGHT_KEPT_S,
    )
