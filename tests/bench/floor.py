"""The floor of the join exchange: under the server the API runs under, one call of a one-statement
database function and one signature of the same key over as many bytes, and nothing else.

`python -m tests.bench.floor` serves it with the environment of the API.
"""

import sys
import threading
from collections.abc import Callable, Iterable
from typing import Any

import psycopg2
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.hashes import SHA256
from psycopg2.extensions import cursor as Cursor  # noqa: N812 - it is a class

from app.clock import utc_now
from app.localstack.process import Launch
from app.localstack.services import Api
from app.participants.seats import code_hash
from app.settings import Settings
from app.wiring import build_services
from tests.conftest import repository

SEAT = "SELECT * FROM teleconference.seat_by_code(%s)"
TOKEN_BYTES = 1400

WsgiApp = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class Floor(Api):
    """The floor as a part beside a stack, with that stack's settings but its own port."""

    def launch(self) -> Launch:
        """Return the command line."""
        env = {**self.env, "PYTHONPATH": str(repository())}
        return Launch([sys.executable, "-m", "tests.bench.floor"], env=env)


def make_app() -> WsgiApp:
    """Return the endpoint: the link's code is the last part of the path."""
    settings = Settings.from_env()
    key = build_services(settings, application="teleconsult-floor").keys.signer(utc_now()).key
    local, message = threading.local(), b"x" * TOKEN_BYTES

    def cursor() -> Cursor:
        if not hasattr(local, "cursor"):
            local.cursor = _connect(settings.database_url)
        return local.cursor  # type: ignore[no-any-return]

    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        cursor().execute(SEAT, (code_hash(environ["PATH_INFO"].rpartition("/")[2]),))
        cursor().fetchone()
        body = key.sign(message, PKCS1v15(), SHA256())
        headers = [("content-type", "application/jwt"), ("content-length", str(len(body)))]
        start_response("200 OK", headers)
        return [body]

    return app


def _connect(url: str) -> Cursor:
    every = "-c teleconsult.organisation_id=*"
    link = psycopg2.connect(url.replace("+psycopg2", "", 1), options=every)
    link.autocommit = True
    return link.cursor()


def main() -> None:
    """Serve as `teleconsult serve` does."""
    from granian.constants import Interfaces
    from granian.server import Server

    settings = Settings.from_env()
    Server(
        "tests.bench.floor:make_app",
        factory=True,
        interface=Interfaces.WSGI,
        address=settings.host,
        port=settings.port,
        workers=settings.api_workers,
        blocking_threads=settings.api_threads,
        backpressure=settings.api_threads * 32,
        log_access=False,
    ).serve()


if __name__ == "__main__":
    main()
