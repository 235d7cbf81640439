"""100,000 rows of GA4, fetched and stored, against the same rows fetched and parsed."""

from __future__ import annotations

import statistics
import time
import tracemalloc
from collections.abc import Callable
from datetime import UTC, date, datetime, timedelta

import httpx
import psycopg
from sqlalchemy import Engine, NullPool, create_engine, make_url

from benchmarks.figures import Figure
from benchmarks.metrics import LOGINS
from ocd.core import migrate
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.ledger import claims, enqueue
from ocd.ledger.windows import Daily
from ocd.sources.ga4.metered import MeteredClient
from ocd.sources.ga4.pages import PAGE_ROWS
from ocd.sources.ga4.refresh import Source, refresh
from ocd.sources.ga4.reports import LANDING_PAGES
from ocd.sources.ga4.rest import RestClient
from tests.fakes.ga4 import Ga4, running_ga4

ROWS = 100_000
ROUNDS = 5
#: Fetched and stored, over fetched and parsed.
MAX_RATIO = 1.5
#: Memory at three times the rows, over that at once the rows.
MAX_MEMORY = 1.3
NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
TODAY = NOW.date()


def measure(scale: float) -> list[Figure]:
    """Measure in turns, so that both see the same machine; figures are medians."""
    rows = max(int(ROWS * scale), 10)
    page_rows = max(int(PAGE_ROWS * scale), 5)
    with scratch_postgres() as server, running_ga4() as fake:
        engine = _engine(server)
        stored = _storing(engine, fake, page_rows)
        bare, ours = [], []
        fake.set(made_up=rows, time_zone="UTC", remaining=_plenty())
        for n in range(ROUNDS + 1):
            day = TODAY - timedelta(days=n + 1)
            bare.append(_timed(lambda d: _fetch_bare(fake, rows, page_rows, d), day))
            ours.append(_timed(stored, day))
        peaks = [
            _peak(fake, stored, rows * factor, TODAY - timedelta(days=90 + factor))
            for factor in (1, 3)
        ]
        engine.dispose()
    # The first round makes the rows up and warms caches.
    bare_s, ours_s = statistics.median(bare[1:]), statistics.median(ours[1:])
    return [
        Figure("GA4 rows fetched and stored", rows / ours_s, "rows/s"),
        Figure("  the same rows, bare HTTP and JSON", rows / bare_s, "rows/s"),
        Figure("fetched and stored / bare HTTP and JSON", ours_s / bare_s, "x", gate=MAX_RATIO),
        Figure("peak memory of a refresh", peaks[0] / 2**20, "MiB"),
        Figure("peak memory, 3 times the rows", peaks[1] / peaks[0], "x", gate=MAX_MEMORY),
    ]


def _plenty() -> dict[str, int]:
    names = ("tokensPerDay", "tokensPerHour", "tokensPerProjectPerHour")
    return dict.fromkeys((*names, "serverErrorsPerProjectPerHour", "concurrentRequests"), 10**6)


def _engine(server: str) -> Engine:
    with psycopg.connect(server, autocommit=True) as conn:
        for login in LOGINS:
            conn.execute(login)
        conn.execute("create database sources owner ocd_owner")
    made = make_url(server).set(drivername="postgresql", database="sources")

    def at(user: str, password: str) -> str:
        return made.set(username=user, password=password).render_as_string(hide_password=False)

    migrate.upgrade(at("ocd_owner", "owner"))
    return create_engine(sqlalchemy_url(at("ocd_worker", "worker")), poolclass=NullPool)


def _storing(engine: Engine, fake: Ga4, page_rows: int) -> Callable[[date], None]:
    """Return what a worker does with one report of a day, quota ledger included."""
    rest = RestClient(fake.url, lambda: "token")

    def store(day: date) -> None:
        window = Daily().parse(day.isoformat())
        with engine.begin() as conn:
            placed = enqueue.add(conn, enqueue.Order("benchmark.ga", window, "io"))
        run = claims.claim(engine, placed.run_id, job="benchmark.ga", worker="b", lease_s=300)
        assert run is not None
        client = MeteredClient(rest, engine, run_id=run.id)
        source = Source(client, "1", "live", (LANDING_PAGES,), page_rows=page_rows)
        with engine.connect() as conn:
            refresh(conn, source, day=day, now=NOW, run=run)

    return store


def _fetch_bare(fake: Ga4, rows: int, page_rows: int, day: date) -> None:
    body = {
        "dateRanges": [{"startDate": day.isoformat(), "endDate": day.isoformat()}],
        "dimensions": [{"name": name} for name in LANDING_PAGES.dimensions],
        "metrics": [{"name": name} for name in LANDING_PAGES.metrics],
        "limit": str(page_rows),
    }
    with httpx.Client(timeout=60) as http:
        for offset in range(0, rows, page_rows):
            page = body | {"offset": str(offset)}
            http.post(f"{fake.url}/v1beta/properties/1:runReport", json=page).json()


def _timed(deed: Callable[[date], None], day: date) -> float:
    started = time.perf_counter()
    deed(day)
    return time.perf_counter() - started


def _peak(fake: Ga4, store: Callable[[date], None], rows: int, day: date) -> int:
    fake.set(made_up=rows)
    tracemalloc.start()
    store(day)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    return peak
