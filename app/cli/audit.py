"""`teleconsult audit`: what an auditor does at the command line, with read rights and the keys."""

import json
import sys
from datetime import datetime
from pathlib import Path
from uuid import UUID

import click
from sqlalchemy import Connection

from app.audit.anchors import Anchors
from app.audit.proof import AuditKeys
from app.audit.verify import Verdict, chains_of, count
from app.audit.verify import verify as verify_chains
from app.clock import utc_now
from app.db.engine import make_engine
from app.settings import AuditorSettings, SettingsError

# Exit codes. 2 is taken: click's, for a command line it does not understand.
OK, BROKEN, LATE = 0, 1, 3


@click.group("audit")
def audit_group() -> None:
    """The audit log."""


@audit_group.command("verify")
@click.option("--organisation", type=click.UUID, help="Its chain only; all zeros: nobody's.")
@click.option(
    "--anchors",
    "paths",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    multiple=True,
    help="Anchor files or logs of the relay; AUDIT_ANCHOR_FILE unless given.",
)
@click.option("--json", "as_json", is_flag=True, help="Print one JSON object.")
def verify(organisation: UUID | None, paths: tuple[Path, ...], as_json: bool) -> None:
    """Say OK, or name the first broken entry (exit code 1), or say that entries have waited for
    their seal for more than a minute (3).

    Reads DATABASE_URL (role_audit is enough) and AUDIT_KEYS, and no other setting.
    """
    try:
        settings = AuditorSettings.from_env()
    except SettingsError as error:
        raise click.ClickException(f"Settings: {error}") from error
    verdict = _verify(settings, organisation, _anchors(settings, paths))
    now = utc_now()
    shown = json.dumps(verdict.shown(now), default=str) if as_json else _sentence(verdict, now)
    click.echo(shown)
    sys.exit(BROKEN if verdict.broken else LATE if verdict.is_late(now) else OK)


def _anchors(settings: AuditorSettings, paths: tuple[Path, ...]) -> Anchors:
    kept = Path(settings.audit_anchor_file)
    if not paths and settings.audit_anchor_file and kept.exists():
        paths = (kept,)
    anchors = Anchors()
    for path in paths:
        anchors.read(path)
    return anchors


def _verify(settings: AuditorSettings, organisation: UUID | None, anchors: Anchors) -> Verdict:
    engine = make_engine(
        settings.database_url,
        pool_size=1,
        application="teleconsult-audit",
        isolation_level="REPEATABLE READ",
    )
    try:
        with engine.connect() as db:
            return _with_progress(db, AuditKeys(settings.audit_keys), organisation, anchors)
    finally:
        engine.dispose()


def _with_progress(
    db: Connection, keys: AuditKeys, organisation: UUID | None, anchors: Anchors
) -> Verdict:
    total = count(db, chains_of(db, anchors, organisation))
    quiet = not sys.stderr.isatty()
    with click.progressbar(length=total, label="Verifying", file=sys.stderr, hidden=quiet) as bar:
        return verify_chains(
            db, keys, organisation_id=organisation, anchors=anchors, progress=bar.update
        )


def _sentence(verdict: Verdict, now: datetime) -> str:
    broken = verdict.broken
    if broken is not None:
        return (
            f"BROKEN: {broken.what}: entry {broken.entry_id or 'unknown'}, number"
            f" {broken.number or 'none'}, organisation {broken.organisation_id or 'none'}"
        )
    past = f", {verdict.purged} purged before" if verdict.purged else ""
    found = f"{verdict.entries} entries in {verdict.chains} chains{past}"
    waiting = f"{verdict.unsealed} not sealed yet, from {verdict.oldest_unsealed} on"
    if verdict.is_late(now):
        return f"LATE: {waiting}; does a relay run? Nothing else is wrong: {found}"
    return f"OK: {found}{f', {waiting}' if verdict.unsealed else ''}"
