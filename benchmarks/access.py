"""What row security costs: the same rows read under the policies and by a plain `where`, in one run.

    python -m benchmarks.access --rows 1000000 --json

Exit code 1 where a ratio is over its gate.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, text

from benchmarks.hot_paths import HotPath
from benchmarks.tables import filled

#: Own rows: found by the claim against found by the condition. Staff: all rows, against no policy at all.
OWN_GATE, STAFF_GATE = 1.2, 1.5
ROUNDS = 15
#: A read of five rows is too short for one reading of the clock.
OWN_CALLS = 200

_COUNT = "select count(*), max(created_at) from public.{table}"
_CONVERSATION = {"conversation_id": "c77"}


@dataclass(frozen=True)
class Pair:
    """The same read under policies and without; the second role is under none."""

    name: str
    gate: float
    calls: int
    under: HotPath
    plain: HotPath


@dataclass(frozen=True)
class Figure:
    """Median milliseconds per call, and the median of the rounds' ratios."""

    name: str
    rows: int
    under_ms: float
    plain_ms: float
    ratio: float
    gate: float

    @property
    def is_held(self) -> bool:
        """Whether the ratio is within its gate."""
        return self.ratio <= self.gate


def _own(table: str) -> Pair:
    read = f"select * from public.{table}"
    return Pair(
        f"own rows of {table}",
        OWN_GATE,
        OWN_CALLS,
        HotPath("", "authenticated", read, _CONVERSATION),
        HotPath("", "ocd_worker", f"{read} where conversation_id = 'c77'"),
    )


def _staff(table: str, role: str) -> Pair:
    read = _COUNT.format(table=table)
    return Pair(
        f"all rows of {table} as {role}",
        STAFF_GATE,
        1,
        HotPath("", role, read),
        HotPath("", "ocd_worker", read),
    )


PAIRS = (
    _own("agent_queries"),
    _own("agent_feedback"),
    _own("agent_approvals"),
    _staff("agent_queries", "operator_readonly"),
    _staff("agent_feedback", "annotator"),
    _staff("agent_approvals", "operator_readonly"),
)


def _ms(conn: Connection, path: HotPath, calls: int) -> float:
    """Return milliseconds per call, as the path's role."""
    path.begin(conn)
    statement = text(path.statement)
    started = time.perf_counter()
    for _ in range(calls):
        conn.execute(statement).all()
    took = 1000 * (time.perf_counter() - started) / calls
    conn.rollback()
    return took


def _seen(conn: Connection, path: HotPath) -> list[object]:
    path.begin(conn)
    rows = list(conn.execute(text(path.statement)).all())
    conn.rollback()
    return rows


def measure(conn: Connection, pair: Pair) -> Figure:
    """Read in turns, each round in the other order; both must see the same rows."""
    seen = _seen(conn, pair.under)
    assert sorted(map(str, seen)) == sorted(map(str, _seen(conn, pair.plain)))
    under: list[float] = []
    plain: list[float] = []
    for turn in range(ROUNDS):
        order: list[Callable[[], None]] = [
            lambda: under.append(_ms(conn, pair.under, pair.calls)),
            lambda: plain.append(_ms(conn, pair.plain, pair.calls)),
        ]
        for read in order if turn % 2 else reversed(order):
            read()
    ratio = statistics.median(one / other for one, other in zip(under, plain, strict=True))
    return Figure(
        pair.name, len(seen), statistics.median(under), statistics.median(plain), ratio, pair.gate
    )


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of agent_queries")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    with filled(options.rows) as engine, engine.connect() as conn:
        conn.execute(text("set max_parallel_workers_per_gather = 0"))
        conn.commit()
        figures = [measure(conn, pair) for pair in PAIRS]
    if options.json:
        print(
            json.dumps(
                {"rows": options.rows, "figures": [asdict(one) for one in figures]}, indent=1
            )
        )
    else:
        print("| read | under policies, ms | plain, ms | ratio | gate |\n|---|---|---|---|---|")
        for one in figures:
            print(
                f"| {one.name} | {one.under_ms:.3f} | {one.plain_ms:.3f} | {one.ratio:.2f} | {one.gate} |"
            )
    return 0 if all(one.is_held for one in figures) else 1


if __name__ == "__main__":
    sys.exit(main())
