"""Where a request finds its collaborators."""

from typing import cast

from flask import Flask, current_app

from app.services import Services

EXTENSION = "teleconsult"


def attach_services(app: Flask, services: Services) -> None:
    """Give the application its collaborators."""
    app.extensions[EXTENSION] = services


def current_services() -> Services:
    """Return the collaborators of the application that handles this request."""
    return cast("Services", current_app.extensions[EXTENSION])
