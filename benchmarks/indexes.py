"""What the indexes after revision 0009 buy and cost: every hot path before and after, in one run.

    python -m benchmarks.indexes --rows 1000000 --json

Exit code 1 where a hot path reads a table from end to end, or an index makes none much cheaper.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from dataclasses import asdict, dataclass

from sqlalchemy import Connection, Engine, text

from benchmarks.hot_paths import PATHS, HotPath
from benchmarks.tables import filled
from ocd.core import migrate
from ocd.database import plans

BEFORE = "0009"
ROUNDS = 5
#: An index is worth its writes if a hot path reads this many times fewer pages with it.
WORTH = 3.0
INSERTED = 20_000
#: Wanted by somebody, built here, and left out: (hot path, index).
LEFT_OUT = (
    (
        "one agent's turns in a conversation",
        "public.agent_queries (conversation_id, agent, created_at desc)",
    ),
    ("newest facts of a topic", "public.facts (project, topic, created_at desc)"),
    (
        "judgements of one annotator",
        "public.agent_feedback (annotator) where safe_to_send is not null",
    ),
)


@dataclass(frozen=True)
class Reading:
    """One hot path, once: the planner's cost, pages touched, median milliseconds, tables read whole."""

    cost: float
    pages: int
    ms: float
    scanned: tuple[str, ...]


@dataclass(frozen=True)
class Change:
    """A hot path without and with an index."""

    path: str
    role: str
    before: Reading
    after: Reading

    @property
    def is_worth_it(self) -> bool:
        """Whether far fewer pages are read, or a table no longer from end to end."""
        is_spared = bool(self.before.scanned) and not self.after.scanned
        return is_spared or self.before.pages >= WORTH * self.after.pages


def read(conn: Connection, path: HotPath) -> Reading:
    """Carry a hot path out, as its role; changes nothing."""
    found = []
    for _ in range(ROUNDS):
        with conn.begin_nested() as savepoint:
            path.begin(conn)
            found.append(
                plans.explain(conn, path.statement, path.parameters, options="analyze, buffers, ")
            )
            savepoint.rollback()
    root = found[-1].root
    return Reading(
        found[-1].cost,
        root["Shared Hit Blocks"] + root["Shared Read Blocks"],
        statistics.median(float(one.root["Actual Total Time"]) for one in found),
        tuple(sorted(found[-1].scanned())),
    )


def read_all(engine: Engine) -> dict[str, Reading]:
    """Carry every hot path out."""
    with engine.connect() as conn:
        return {path.name: read(conn, path) for path in PATHS}


def insert_ms(engine: Engine, indexes: dict[str, int]) -> tuple[float, float]:
    """Return the milliseconds that adding rows to `agent_queries` takes without and with the indexes.

    In turns, so that a busy machine slows both. Leaves dead rows, so nothing is read after it.
    """
    took: tuple[list[float], list[float]] = ([], [])
    for turn in range(2 * ROUNDS):
        with engine.connect() as conn:
            for name in indexes if turn % 2 == 0 else ():
                conn.execute(text(f"drop index {name}"))
            started = time.perf_counter()
            conn.execute(
                text("""
                    insert into public.agent_queries (query, result, conversation_id, agent, latency_ms)
                    select 'q', '1', 'n' || g, 'ops', 101 + g % 900 from generate_series(1, :rows) g
                """),
                {"rows": INSERTED},
            )
            took[turn % 2].append(1000 * (time.perf_counter() - started))
            conn.rollback()
    return statistics.median(took[0]), statistics.median(took[1])


def try_left_out(engine: Engine) -> list[tuple[str, Change]]:
    """Build each index that was left out, in a transaction that is rolled back."""
    found = []
    for name, index in LEFT_OUT:
        path = next(one for one in PATHS if one.name == name)
        with engine.connect() as conn:
            before = read(conn, path)
            conn.execute(text(f"create index on {index}"))
            found.append((index, Change(name, path.role, before, read(conn, path))))
            conn.rollback()
    return found


def sizes(engine: Engine) -> dict[str, int]:
    """Return the bytes of every index that a later revision built."""
    with engine.connect() as conn:
        rows = conn.execute(
            text("""
                select name, pg_relation_size(cast(name as regclass)) as bytes from ocd.created_object
                where revision > :before and kind = 'index' order by 1
            """),
            {"before": BEFORE},
        )
        return {row.name: row.bytes for row in rows}


def table(changes: list[tuple[str, Change]]) -> list[str]:
    """Return a table of changes, in Markdown."""
    lines = [
        "| read | pages before | after | ms before | after | tables read whole before |",
        "|---|---|---|---|---|---|",
    ]
    for name, one in changes:
        lines.append(
            f"| {name} | {one.before.pages:,} | {one.after.pages:,} | {one.before.ms:.2f} | {one.after.ms:.2f} "
            f"| {', '.join(one.before.scanned)} |"
        )
    return lines


def main() -> int:
    """Measure, print, judge."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000, help="rows of agent_queries")
    parser.add_argument("--json", action="store_true", help="print JSON for machines")
    options = parser.parse_args()
    with filled(options.rows, revision=BEFORE) as engine:
        before = read_all(engine)
        migrate.upgrade(engine.url.render_as_string(hide_password=False))
        after, left_out, built = read_all(engine), try_left_out(engine), sizes(engine)
        without, with_them = insert_ms(engine, built)
    changes = [Change(one.name, one.role, before[one.name], after[one.name]) for one in PATHS]
    scanned = [one.path for one in changes if one.after.scanned]
    better = [one.path for one in changes if one.is_worth_it]
    report = {
        "rows": options.rows,
        "paths": [asdict(one) for one in changes],
        "left_out": [{"index": index} | asdict(one) for index, one in left_out],
        "index_bytes": built,
        "insert_ms": {"rows": INSERTED, "without": without, "with": with_them},
        "reads_a_table_whole": scanned,
        "much_better": better,
    }
    if options.json:
        print(json.dumps(report, indent=1))
    else:
        print("\n".join(table([(f"{one.path} ({one.role})", one) for one in changes])))
        print("\nLeft out:\n\n" + "\n".join(table(left_out)))
        print(
            f"\nAdding {INSERTED:,} rows: {without:.0f} ms without, {with_them:.0f} ms with them."
        )
        print("\n".join(f"{name}: {size / 2**20:.1f} MiB" for name, size in built.items()))
    return 1 if scanned or len(better) < len(built) else 0


if __name__ == "__main__":
    sys.exit(main())
