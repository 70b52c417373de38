"""`teleconsult keys`."""

from datetime import timedelta

import click

from app.cli.context import services, show
from app.clock import utc_now
from app.organisations import keys


@click.group("keys")
def keys_group() -> None:
    """The keys that sign Jitsi tokens."""


@keys_group.command("rotate")
def rotate_keys() -> None:
    """Publish a new signing key; it signs in ten minutes, the very first at once."""
    held = services()
    ttl = timedelta(seconds=held.settings.jitsi_token_ttl_s)
    with held.database.begin() as db:
        key = keys.rotate(db, held.vault, token_ttl=ttl, now=utc_now())
    show({"kid": key.kid, "signs_from": key.signs_from.isoformat()})


@keys_group.command("list")
def list_keys() -> None:
    """Show the published keys, newest first."""
    with services().database.begin() as db:
        rows = keys.published(db, utc_now())
    for row in rows:
        retired = row.retired_at.isoformat() if row.retired_at else None
        show({"kid": row.kid, "signs_from": row.signs_from.isoformat(), "until": retired})


@keys_group.command("reencrypt")
def reencrypt_secrets() -> None:
    """Encrypt all stored secrets with the first of MASTER_KEYS; the others can go a day later."""
    from app.reencrypt import reencrypt

    held = services()
    with held.database.begin() as db:
        done = reencrypt(db, held.vault, now=utc_now())
    show({"reencrypted": done})
