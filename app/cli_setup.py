"""What every command needs: settings, collaborators, and one way to print."""

import json

import click

from app.services import Services
from app.settings import Settings, SettingsError


def settings() -> Settings:
    """Return the settings of the environment.

    Raises:
        click.ClickException: one is missing or wrong.
    """
    try:
        return Settings.from_env()
    except SettingsError as error:
        raise click.ClickException(f"Settings: {error}") from error


def services(application: str) -> Services:
    """Return the collaborators of a process."""
    from app.observability import configure_logging
    from app.wiring import build_services

    found = settings()
    configure_logging(found.log_level)
    return build_services(found, application=application)


def print_json(value: object) -> None:
    """Print one JSON document on a line."""
    click.echo(json.dumps(value))
