"""A mail server that delivers nothing: every mail becomes one .eml file."""

from __future__ import annotations

import argparse
import asyncio
import logging
import signal
import time
import uuid
from pathlib import Path

from aiosmtpd.smtp import SMTP, Envelope, Session

MAX_MAIL_BYTES = 20 * 1024 * 1024


class Inbox:
    """aiosmtpd handler: accepts every recipient and stores what arrives."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        folder.mkdir(parents=True, exist_ok=True)

    async def handle_DATA(self, _server: SMTP, _session: Session, envelope: Envelope) -> str:  # noqa: N802 - aiosmtpd's name
        """Store one mail; the file appears whole or not at all."""
        name = f"{time.time_ns()}-{uuid.uuid4().hex[:8]}"
        draft = self._folder / f".{name}.part"
        draft.write_bytes(_with_envelope(envelope))
        draft.rename(self._folder / f"{name}.eml")
        return "250 stored"


def _with_envelope(envelope: Envelope) -> bytes:
    content = envelope.content or b""
    body = content.encode() if isinstance(content, str) else content
    recipients = "".join(f"X-Envelope-To: {address}\r\n" for address in envelope.rcpt_tos)
    return f"X-Envelope-From: {envelope.mail_from}\r\n{recipients}".encode() + body


async def serve(port: int, inbox: Path) -> None:
    """Serve until SIGTERM or SIGINT."""
    loop = asyncio.get_running_loop()
    handler = Inbox(inbox)
    server = await loop.create_server(
        lambda: SMTP(
            handler,
            data_size_limit=MAX_MAIL_BYTES,
            enable_SMTPUTF8=True,
            hostname="localhost",
            loop=loop,
        ),
        "127.0.0.1",
        port,
    )
    ended = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    async with server:
        await ended.wait()


def main() -> None:
    """Read the arguments and serve."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--inbox", type=Path, required=True)
    arguments = parser.parse_args()
    # aiosmtpd's info lines carry addresses.
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(arguments.port, arguments.inbox))


if __name__ == "__main__":
    main()
