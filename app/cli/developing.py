"""A demo hospital, and the API's own description."""

from pathlib import Path

import click

from app.cli.context import services, show
from app.clock import utc_now


@click.command()
@click.option("--issuer", help="Whom the hospital's staff signs in with; role: doctor.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON only.")
def demo(issuer: str | None, as_json: bool) -> None:
    """Seed a demo hospital and print credentials and two links; again and again if you like."""
    from app.demo import seed

    seeded = seed(services(), issuer=issuer, now=utc_now())
    if as_json:
        show(seeded)
        return
    for part in (seeded, *seeded.pop("appointments")):
        for name, value in part.items():
            click.echo(f"{name:15} {value}")


@click.command()
@click.option("--check", is_flag=True, help="Fail when docs/openapi.json is not current.")
@click.option("--output", type=click.Path(path_type=Path), default=Path("docs/openapi.json"))
def openapi(check: bool, output: Path) -> None:
    """Write the OpenAPI document."""
    from app.describe import openapi_text

    text = openapi_text()
    if not check:
        output.write_text(text)
    elif not output.exists() or output.read_text() != text:
        raise click.ClickException(f"{output} is not current; run: teleconsult openapi")
