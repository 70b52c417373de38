"""Logs: one JSON line per thing, ids only. No name, address, token or link code is ever logged."""

import logging
import sys
import traceback
from typing import Any

import structlog

from app.ids import new_id

DEEPEST_FRAMES = 4
# They quote what they read in a file, names of patients included.
QUOTING_LIBRARIES = ("pydicom", "PIL")
LOUD_LIBRARIES = ("rq", "slixmpp", "urllib3", "alembic", "_granian")


def configure_logging(level: str) -> None:
    """Send everything, ours and libraries', through one JSON formatter to standard output."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.processors.JSONRenderer()],
        wrapper_class=structlog.make_filtering_bound_logger(logging.getLevelName(level)),
        logger_factory=structlog.WriteLoggerFactory(file=sys.stdout),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        processor=structlog.processors.JSONRenderer(), foreign_pre_chain=shared
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(formatter)
    logging.basicConfig(level=level, handlers=[handler], force=True)
    for name in LOUD_LIBRARIES:
        logging.getLogger(name).setLevel(logging.WARNING)
    for name in QUOTING_LIBRARIES:
        logging.getLogger(name).setLevel(logging.CRITICAL + 1)


def place_of(error: BaseException) -> str:
    """Return where an error was raised, innermost last: its text may hold what no log may."""
    frames = traceback.extract_tb(error.__traceback__)[-DEEPEST_FRAMES:]
    return " < ".join(f"{f.filename.rpartition('/')[2]}:{f.lineno}" for f in reversed(frames))


def begin_request(method: str, rule: str) -> str:
    """Have the log lines from here on name this request; return its id.

    Args:
        rule: the route's, not the path: a path can hold a link's code.
    """
    request_id = str(new_id())
    structlog.contextvars.clear_contextvars()
    structlog.contextvars.bind_contextvars(request_id=request_id, method=method, route=rule)
    return request_id


def end_request(status: int) -> None:
    """Log a request that failed by our fault."""
    if status >= 500:
        structlog.get_logger().warning("request_failed", status=status)
