"""`teleconsult`: run the service's processes and look after it. One file per group of commands.

Exit codes: 0 done; 1 refused, with one sentence on standard error; 2 not understood.
"""

import gc
from importlib import import_module
from typing import Any

import click

from app.errors import DomainError

# Where each command is. Only the one that is run is imported: a process of the service, of which
# every start of a stack has several, then loads nothing that it does not use.
SECTIONS: dict[str, dict[str, str]] = {
    "Try it": {"up": "processes:up", "demo": "developing:demo"},
    "Run it": {
        "migrate": "processes:migrate",
        "serve": "processes:serve",
        "stream": "processes:stream",
        "relay": "processes:relay",
        "worker": "processes:worker",
        "gateway": "processes:gateway",
    },
    "Look after it": {
        "organisation": "organisations:organisation_group",
        "client": "clients:client_group",
        "oidc": "oidc:oidc_group",
        "directory": "directory:directory_group",
        "keys": "keys:keys_group",
        "recordings": "recordings:recordings_group",
        "audit": "audit:audit_group",
    },
    "Work on it": {"openapi": "developing:openapi"},
}
# How many objects come before the collector looks for cycles among the young ones.
YOUNG_OBJECTS = 10_000
COMMANDS = {name: place for section in SECTIONS.values() for name, place in section.items()}


class Refused(click.ClickException):
    """Something the service does not do, said in its own words."""

    def show(self, file: Any = None) -> None:
        """Print the sentence."""
        click.echo(f"teleconsult: {self.message}", file=file, err=file is None)


class Sections(click.Group):
    """A group whose help shows the commands by what they are for, in that order."""

    def invoke(self, ctx: click.Context) -> Any:
        """Run a command; a refusal is one sentence and exit code 1."""
        try:
            return super().invoke(ctx)
        except DomainError as error:
            raise Refused(error.detail) from error

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of all commands."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one command; None when there is none of this name."""
        return imported(cmd_name) if cmd_name in COMMANDS else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section."""
        for title, names in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(name, imported(name).get_short_help_str(100)) for name in names]
                )


def imported(name: str) -> click.Command:
    """Return a command by its name."""
    module, _, attribute = COMMANDS[name].partition(":")
    command: click.Command = getattr(import_module(f"app.cli.{module}"), attribute)
    return command


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Teleconsult: the orchestration service over a hospital's own Jitsi Meet.

    Without any set-up, `teleconsult up` runs everything on this machine. The other commands read
    their settings from the environment (README, "Settings").

    Exit codes: 0 done; 1 refused, with one sentence on standard error; 2 not understood.
    """


def main() -> None:
    """Run the command line."""
    # Python's 700 would have the collector run hundreds of times while a process loads, which makes
    # a good tenth of the time that takes.
    gc.set_threshold(YOUNG_OBJECTS)
    cli()
