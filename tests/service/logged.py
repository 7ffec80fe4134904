"""A server whose log can be read."""

from __future__ import annotations

import logging
from contextlib import contextmanager

from service import logs
from tests.service.fakes import fake_scorer
from tests.service.serving import served


@contextmanager
def logging_to(stream, settings):
    """Serve with a log, and leave logging as it was."""
    root = logging.getLogger()
    before = root.handlers[:], root.level
    for name in ("httpx", "httpcore"):  # it is in the same process here, and talks too
        logging.getLogger(name).setLevel(logging.WARNING)
    try:
        logs.configure(settings, stream)
        with served({"houses": fake_scorer()}, settings) as client:
            yield client
    finally:
        root.handlers[:], root.level = before
