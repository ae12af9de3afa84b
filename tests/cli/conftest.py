"""The log as it was: commands and the tests of the log set it up for the whole process."""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog

from perezvon import log


@pytest.fixture(autouse=True)
def log_as_it_was() -> Iterator[None]:
    root = logging.getLogger()
    handlers, level = root.handlers[:], root.level
    yield
    root.handlers[:] = handlers
    root.setLevel(level)
    logging.captureWarnings(False)
    structlog.reset_defaults()
    log.hide(())
