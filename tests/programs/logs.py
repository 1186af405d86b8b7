"""The lines that the package logs."""

import contextlib
import logging
from collections.abc import Iterator


@contextlib.contextmanager
def logged_lines() -> Iterator[list[str]]:
    """Collect the messages of the package, from level INFO on, while the context is open."""
    lines: list[str] = []
    handler = logging.Handler()
    handler.emit = lambda record: lines.append(record.getMessage())
    logger = logging.getLogger("vae_jax")
    level = logger.level
    logger.addHandler(handler)
    logger.setLevel(logging.INFO)
    try:
        yield lines
    finally:
        logger.removeHandler(handler)
        logger.setLevel(level)
