"""What every command needs: the settings, the collaborators, and one way to print."""

import json
from typing import TYPE_CHECKING

import click

from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from app.services import Services


def settings() -> Settings:
    """Return this process' settings.

    Raises:
        ClickException: one is missing or cannot be understood.
    """
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(f"Settings: {error}") from error


def services(application: str = "teleconsult-cli") -> "Services":
    """Return the collaborators of this process."""
    from app.observability import configure_logging
    from app.wiring import build_services

    mine = settings()
    configure_logging(mine.log_level)
    return build_services(mine, application=application)


def show(value: object) -> None:
    """Print one JSON value on one line."""
    click.echo(json.dumps(value))
