"""What every command needs: the settings, the collaborators, and the ways to print."""

import json
from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from app.settings import Settings, SettingsError

if TYPE_CHECKING:
    from app.services import Services

as_json = click.option("--json", "as_json", is_flag=True, help="Print JSON only.")


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


def moment(at: datetime | None) -> str | None:
    """Return a time as the commands show it."""
    return at.isoformat() if at else None


def show_list(rows: Sequence[dict[str, Any]], *, as_json: bool) -> None:
    """Print rows as one JSON list, or as lines with an empty one between rows."""
    if as_json:
        show(list(rows))
        return
    for number, row in enumerate(rows):
        if number:
            click.echo()
        show_facts(row, as_json=False)


def show_facts(facts: dict[str, Any], *, as_json: bool) -> None:
    """Print facts as JSON, or a line each."""
    if as_json:
        show(facts)
        return
    for name, value in facts.items():
        click.echo(f"{name:18} {_plain(value)}")


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(_plain(one) for one in value)
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_plain(one)}" for name, one in value.items())
    return "-" if value is None else str(value)
