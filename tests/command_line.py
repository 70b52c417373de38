"""Commands of `teleconsult`, each in a process of its own that need not load the program anew."""

from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from multiprocessing import get_context

from click.testing import CliRunner

from app.cli import COMMANDS, cli
from app.localstack.supervisor import LocalStack

# Its children begin with what it has loaded; not with what the tests have, who set up logging.
LOADED = get_context("forkserver")
MODULES = sorted({f"app.cli.{place.partition(':')[0]}" for place in COMMANDS.values()})
LOADED.set_forkserver_preload([*MODULES, "app.wiring", __name__])
ENDS_WITHIN_S = 60


@dataclass(frozen=True)
class Ended:
    """What a command left behind."""

    exit_code: int
    stdout: str
    stderr: str


def run(stack: LocalStack, *words: str) -> Ended:
    """Run a command with a stack's settings, as an operator does."""
    with ProcessPoolExecutor(1, mp_context=LOADED) as process:
        return process.submit(_run, words, dict(stack.environment)).result(ENDS_WITHIN_S)


def _run(words: tuple[str, ...], environment: dict[str, str]) -> Ended:
    result = CliRunner().invoke(cli, words, env=environment)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return Ended(result.exit_code, result.stdout, result.stderr)
