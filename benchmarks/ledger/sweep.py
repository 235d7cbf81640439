"""What a sweep of a long ledger costs: a hundred times the runs must not be a hundred times the work."""

from __future__ import annotations

import multiprocessing
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from multiprocessing.connection import Connection as Pipe
from typing import Any

from sqlalchemy import Connection, Engine, NullPool, create_engine, text

from benchmarks.figures import Figure
from benchmarks.ledger.home import fresh_database
from ocd.core.db import sqlalchemy_url
from ocd.core.sqlfiles import statement
from ocd.ledger import reconcile, schedules
from tasks import runtime

SMALL = (1_000, 10_000)
LARGE = (100_000, 1_000_000)
SWEEPS = 11

_FINISHED = statement(__file__, "add_finished.sql")
_QUEUED = statement(__file__, "add_queued.sql")
_DUE = text("""
    update ocd.run set publish_at = timestamptz '-infinity'
    where id in (select id from ocd.run where state = 'queued' order by id limit :count)
""")


def measure(scale: float, tell: Callable[[str], None], *, with_plans: bool) -> list[Figure]:
    """Sweep two databases in turn, at rest and with a full page of messages to send."""
    small = _filled("sweep_small", SMALL, scale, tell)
    large = _filled("sweep_large", LARGE, scale, tell)
    took: dict[str, list[tuple[float, float]]] = {"at rest": [], "sending a full page": []}
    with _sweeper(small) as sweep_small, _sweeper(large) as sweep_large:
        for name, found in took.items():
            due = reconcile.PAGE if found is took["sending a full page"] else 0
            for number in range(SWEEPS + 2):
                pair = sweep_small(due), sweep_large(due)
                if number >= 2:  # the first two fill caches and prepare statements
                    found.append(pair)
            tell(f"sweep: {name} measured")
    if with_plans:
        _show_plans(large)
    return [figure for name, found in took.items() for figure in _figures(name, found)]


def _figures(name: str, found: list[tuple[float, float]]) -> list[Figure]:
    small, large = (1000 * statistics.median(side) for side in zip(*found, strict=True))
    sizes = [f"{queued:,} queued, {finished:,} finished" for queued, finished in (SMALL, LARGE)]
    return [
        Figure(f"sweep {name}, 100 times the runs", large / small, "x", 2.0, 1.3),
        Figure(f"  {sizes[0]}", small, "ms"),
        Figure(f"  {sizes[1]}", large, "ms"),
    ]


def _filled(
    name: str, sizes: tuple[int, int], scale: float, tell: Callable[[str], None]
) -> dict[str, str]:
    environment = fresh_database(name)
    queued, finished = (max(int(size * scale), 10) for size in sizes)
    with _owner(environment).begin() as conn:
        conn.execute(_FINISHED, {"count": finished, "jobs": _jobs()})
        conn.execute(_QUEUED, {"count": queued, "first": 0, "job": "warehouse.rollup"})
    with _owner(environment).connect().execution_options(isolation_level="AUTOCOMMIT") as conn:
        conn.execute(text("vacuum (analyze) ocd.run"))
    tell(f"sweep: {queued:,} queued and {finished:,} finished runs are there")
    return environment


@contextmanager
def _sweeper(environment: dict[str, str]) -> Iterator[Callable[[int], float]]:
    """Start a process that sweeps one database when asked to; yields the asking: due runs in, seconds out."""
    process = multiprocessing.get_context("spawn")
    ours, theirs = process.Pipe()
    child = process.Process(target=_sweep_when_asked, args=(theirs, environment), daemon=True)
    child.start()
    theirs.close()

    def ask(due: int) -> float:
        ours.send(due)
        return float(ours.recv())

    try:
        yield ask
    finally:
        ours.close()
        child.join(timeout=20)


def _sweep_when_asked(pipe: Pipe, environment: dict[str, str]) -> None:
    runtime.use(environment)  # before any module with jobs is imported
    _jobs()
    try:
        while True:
            due = pipe.recv()
            with runtime.engine().begin() as conn:
                conn.execute(_DUE, {"count": due})
            pipe.send(_sweep_s(due))
    except EOFError:
        runtime.release()


def _sweep_s(due: int) -> float:
    """Return the seconds of one sweep as the reconciler makes it, with messages that are only counted."""
    from tasks.catch_up import catch_up

    sent: list[int] = []
    started = time.perf_counter()
    catch_up()
    reconcile.sweep(runtime.engine(), sent.append)
    took_s = time.perf_counter() - started
    assert len(sent) <= due, "a sweep sent what was not due"
    return took_s


def _show_plans(environment: dict[str, str]) -> None:
    """Print the plans of a sweep's statements on the large ledger, a full page being due."""
    with _owner(environment).connect() as conn:
        conn.execute(_DUE, {"count": reconcile.PAGE})
        since = conn.execute(text("select clock_timestamp() - interval '7 days'")).scalar_one()
        for name, parameters in (
            ("sweep_expired.sql", {"max_attempts": 3}),
            ("queue_due.sql", {"limit": reconcile.PAGE}),
            ("mark_late.sql", {"limit": reconcile.PAGE}),
            ("take_unsent.sql", {"stale_s": reconcile.STALE_S, "limit": reconcile.PAGE}),
            ("find_windows.sql", {"jobs": _jobs(), "since": since}),
        ):
            _show_plan(conn, name, parameters)
        conn.rollback()


def _show_plan(conn: Connection, name: str, parameters: dict[str, Any]) -> None:
    found = statement(schedules.__file__, name)
    lines = conn.execute(text(f"explain (analyze, buffers) {found}"), parameters).scalars()
    print(f"-- {name}", *lines, sep="\n", file=sys.stderr)


def _jobs() -> list[str]:
    from tasks.registry import JOBS

    return sorted(JOBS)


def _owner(environment: dict[str, str]) -> Engine:
    return create_engine(sqlalchemy_url(environment["OCD_OWNER_DATABASE_URL"]), poolclass=NullPool)
