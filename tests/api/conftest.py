"""The application behind a real HTTP server, on a database of the test's own, with the reader's login."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import timedelta
from types import SimpleNamespace

import httpx
import pytest
import uvicorn
from sqlalchemy import create_engine

from ocd.api.app import create_app
from ocd.core.db import sqlalchemy_url
from ocd.ledger.observe import Watched
from ocd.ledger.windows import Daily
from tests.conftest import at

PURGE = Watched("lifecycle.purge", "flow.night", Daily(hour=2), timedelta(hours=8))
ON_DEMAND = Watched("on.demand", None, Daily(), timedelta(hours=8))


@pytest.fixture
def broker():
    """What Redis is said to hold; None is a Redis that is away."""
    return SimpleNamespace(lengths={"short": 0, "long": 3})


@contextmanager
def served(app) -> Iterator[httpx.Client]:
    """Serve the application until the body ends; gives a client of it."""
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_config=None, ws="none", lifespan="off"))
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    deadline = time.monotonic() + 20
    while not server.started:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    port = server.servers[0].sockets[0].getsockname()[1]
    with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=20) as client:
        yield client
    server.should_exit = True
    thread.join(timeout=20)


@pytest.fixture
def client_of(broker) -> Iterator[Callable[[str], httpx.Client]]:
    """Make a client of the application on a database's URL."""
    with ExitStack() as opened:

        def make(url: str) -> httpx.Client:
            engine = create_engine(sqlalchemy_url(url), connect_args={"connect_timeout": 2})
            opened.callback(engine.dispose)
            app = create_app(engine, [PURGE, ON_DEMAND], lambda: broker.lengths)
            return opened.enter_context(served(app))

        yield make


@pytest.fixture
def client(client_of, db):
    return client_of(at(db.url, user="ocd_reader", password="reader"))


@pytest.fixture
def away(client_of):
    """A client of an application whose database is not there; its password must never be seen."""
    return client_of("postgresql://ocd_reader:s3cret@127.0.0.1:1/ocd")
