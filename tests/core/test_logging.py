"""Log lines tell what happened, never what a variable held."""

from __future__ import annotations

import io
import logging

import pytest

from ocd.core.logging import configure

PASSWORD = "hunter2-canary"


@pytest.fixture
def root():
    """The root logger, put back as it was."""
    logger = logging.getLogger()
    handlers, level = logger.handlers[:], logger.level
    yield logger
    logger.handlers[:] = handlers
    logger.setLevel(level)


def fail(password):
    raise ValueError(f"{len(password)} characters")


@pytest.mark.parametrize("log_format", ["console", "json"])
def test_an_error_in_the_log_shows_no_variable(root, log_format):
    stream = io.StringIO()
    configure(log_format, "INFO", stream)

    try:
        fail(PASSWORD)
    except ValueError:
        logging.getLogger("test").exception("it_failed")

    assert "it_failed" in stream.getvalue()
    assert "14 characters" in stream.getvalue()
    assert "hunter2" not in stream.getvalue()
