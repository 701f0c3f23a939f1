"""How the processes log: structured, one line per event, never a payload, a secret or a local variable.

A terminal gets a readable rendering, everything else JSON. Tracebacks show code, not values: the locals of a
frame are where tokens and ticket texts live.
"""

from __future__ import annotations

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict, WrappedLogger

from isthmus.kernel import redact

TEXT_MAX = 8_000


def _masked(logger: WrappedLogger, method: str, event: EventDict) -> EventDict:
    """Mask what looks like a credential in any value, and cut what is too long to be a log line."""
    scrubbed = redact.scrub_event(logger, method, event)
    return {name: value[:TEXT_MAX] if isinstance(value, str) else value for name, value in scrubbed.items()}


def configure(level: str = "INFO") -> None:
    """Set up logging of this process; called once at each entry point."""
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    if sys.stderr.isatty():
        last: list[Any] = [structlog.dev.ConsoleRenderer(exception_formatter=structlog.dev.plain_traceback)]
        shared += [_masked]
    else:
        last = [structlog.processors.JSONRenderer()]
        shared += [structlog.processors.format_exc_info, _masked]
    structlog.configure(
        processors=[*shared, *last],
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping().get(level.upper(), logging.INFO)
        ),
        # Looked up at each event: whoever redirects or captures standard error later gets the lines too.
        logger_factory=lambda *_: structlog.PrintLogger(sys.stderr),
        cache_logger_on_first_use=False,
    )
