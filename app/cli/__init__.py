"""`teleconsult`: run the service's processes and look after it. One file per group of commands.

Exit codes: 0 done; 1 refused, with one sentence on standard error; 2 not understood.
"""

from typing import Any

import click

from app.cli import developing, processes
from app.cli.audit import audit_group
from app.cli.clients import client_group
from app.cli.directory import directory_group
from app.cli.keys import keys_group
from app.cli.oidc import oidc_group
from app.cli.organisations import organisation_group
from app.errors import DomainError

SECTIONS: dict[str, tuple[click.Command, ...]] = {
    "Try it": (processes.up, developing.demo),
    "Run it": (
        processes.migrate,
        processes.serve,
        processes.stream,
        processes.relay,
        processes.worker,
        processes.gateway,
    ),
    "Look after it": (
        organisation_group,
        client_group,
        oidc_group,
        directory_group,
        keys_group,
        audit_group,
    ),
    "Work on it": (developing.openapi,),
}


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

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write one list per section."""
        for title, commands in SECTIONS.items():
            with formatter.section(title):
                formatter.write_dl(
                    [(str(one.name), one.get_short_help_str(100)) for one in commands]
                )


@click.group(cls=Sections, context_settings={"help_option_names": ["-h", "--help"]})
def cli() -> None:
    """Teleconsult: the orchestration service over a hospital's own Jitsi Meet.

    Without any set-up, `teleconsult up` runs everything on this machine. The other commands read
    their settings from the environment (README, "Settings").

    Exit codes: 0 done; 1 refused, with one sentence on standard error; 2 not understood.
    """


for _commands in SECTIONS.values():
    for _command in _commands:
        cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    cli()
