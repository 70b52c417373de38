"""`teleconsult up`: the whole service on this machine, with a demo hospital, until Ctrl-C."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from types import FrameType
from typing import Any, NoReturn

import click

from app.localstack import clamd, names
from app.localstack.lock import AlreadyRunning
from app.localstack.ports import NoFreePort
from app.localstack.process import PartFailed
from app.localstack.supervisor import BACKING, DEMONSTRATION, SERVICES, LocalStack

PREFERRED_PORTS = {
    "stream": 8081,
    "prosody_http": 5280,
    "postgres": 15432,
    "redis": 16379,
    "coturn": 13478,
    "mail": 1025,
    "oidc": 9400,
    "clamd": 13310,
}
CHECK_INTERVAL_S = 0.5
# A closed terminal (HUP) ends the stack as Ctrl-C does.
ENDING_SIGNALS = (signal.SIGINT, signal.SIGTERM, signal.SIGHUP)


class Interrupted(BaseException):
    """Somebody asked us to end; not an Exception, so that nothing on the way swallows it."""


def up(data_dir: Path, *, port: int, reset: bool, as_json: bool) -> int:
    """Run the stack in the foreground until Ctrl-C, SIGTERM or the end of one of its parts.

    Args:
        data_dir: what a second start finds again.
        port: wanted port of the API; a free one is taken, and said, when it is in use.
        reset: empty the data folder first.
        as_json: print one JSON object for programs instead of the sentences for people.

    Returns:
        Exit status: 0 after a wanted end, 1 when a part failed or another stack runs here.
    """
    try:
        with _signals_interrupt():
            stack = _make_stack(data_dir, port)
            if reset:
                _say("emptying the data folder")
                stack.reset()
            with stack:
                _announce(stack, as_json=as_json)
                _wait(stack)
    except Interrupted:
        _say("everything that was started has been stopped")
        return 0
    except (AlreadyRunning, PartFailed, NoFreePort) as failure:
        _say(str(failure))
        return 1


def _make_stack(data_dir: Path, port: int) -> LocalStack:
    stack = LocalStack(
        data_dir, parts=_wanted(), prefer={**PREFERRED_PORTS, "api": port}, report=_say
    )
    if stack.ports["api"] != port:
        _say(f"port {port} is in use; the API takes {stack.ports['api']}")
    return stack


def _wanted() -> list[str]:
    """Return every part; without ClamAV files wait to be scanned, and all else works."""
    wanted = [*BACKING, *DEMONSTRATION, *SERVICES]
    if clamd.program() is None:
        _say("clamd is not installed: files that people share stay unreadable")
        wanted.remove("clamd")
    return wanted


def _wait(stack: LocalStack) -> NoReturn:
    """Watch the parts until one ends (PartFailed) or a signal comes (Interrupted)."""
    never = threading.Event()
    while True:
        stack.check()
        never.wait(CHECK_INTERVAL_S)


@contextmanager
def _signals_interrupt() -> Iterator[None]:
    """Turn the first ending signal into `Interrupted`; later ones do not disturb the end."""

    def interrupt(number: int, _frame: FrameType | None) -> None:
        for ending in ENDING_SIGNALS:
            signal.signal(ending, signal.SIG_IGN)
        _say(f"\n{signal.Signals(number).name}: stopping")
        raise Interrupted

    former = {number: signal.signal(number, interrupt) for number in ENDING_SIGNALS}
    try:
        yield
    finally:
        for number, handler in former.items():
            signal.signal(number, handler)


def _announce(stack: LocalStack, *, as_json: bool) -> None:
    _say("seeding the demo hospital")
    demo: dict[str, Any] = json.loads(stack.run("demo", "--json", "--issuer", stack.oidc.url))
    facts = {
        "api_url": stack.api_url,
        "public_url": stack.public_url,
        "docs_url": f"{stack.api_url}/docs",
        **demo,
        "staff_url": f"{stack.public_url}/staff/",
        "staff": [person["sub"] for person in names.STAFF],
        "mail_dir": str(stack.mail.inbox),
        "data_dir": str(stack.data_dir),
        "logs": {name: str(stack.part(name).log) for name in stack.wanted},
    }
    click.echo(json.dumps(facts) if as_json else sentences(facts))


def sentences(facts: dict[str, Any]) -> str:
    """Return what a person wants to know, ready to copy."""
    return f"""
Teleconsult is up.

  API            {facts["api_url"]}
  API docs       {facts["docs_url"]}
  client id      {facts["client_id"]}
  client secret  {facts["client_secret"]}

Open these in two windows of a browser on this machine and press the button in each. The patient
waits to be let in: press "Let in" in the doctor's window.

  doctor         {facts["doctor_link"]}
  patient        {facts["patient_link"]}

Today's appointments; their doors open a quarter of an hour before:

{appointments(facts["appointments"])}

The clinic's page with today's visits. Press one of the names on the hospital's sign-in
({" or ".join(facts["staff"])}); it is a stand-in that asks for no password:

  staff          {facts["staff_url"]}

Create a session of your own:

{example(facts)}

  mails          {facts["mail_dir"]} (every invitation lands there, none leaves this machine)
  data, logs     {facts["data_dir"]}

Ctrl-C stops everything that was started here. The next start finds the data again;
--reset empties it.
"""


def appointments(planned: list[dict[str, str]]) -> str:
    """Return today's appointments, each with both links."""
    return "\n".join(
        f"  {_clock(one['start'])}  {one['patient']} with {one['doctor']}\n"
        f"    doctor       {one['doctor_link']}\n"
        f"    patient      {one['patient_link']}"
        for one in planned
    )


def _clock(moment: str) -> str:
    """Return an appointment's time as the clock on the wall has it."""
    return f"{datetime.fromisoformat(moment).astimezone():%H:%M}"


def example(facts: dict[str, Any]) -> str:
    """Return shell lines that take a token and create a session with it."""
    api = facts["api_url"]
    return f"""  TOKEN=$(curl -s {api}/oauth/token -d grant_type=client_credentials \\
    -u '{facts["client_id"]}:{facts["client_secret"]}' \\
    | python3 -c 'import json, sys; print(json.load(sys.stdin)["access_token"])')
  curl -s {api}/sessions -H "Authorization: Bearer $TOKEN" -H 'Content-Type: application/json' \\
    -d '{{"kind": "consultation", "reference": "visit-0001"}}'"""


def _say(line: str) -> None:
    click.echo(line, err=True)
