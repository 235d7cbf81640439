"""What a check costs: against the hand-written scan, a query per rule, Great Expectations and Soda.

python -m benchmarks.quality [--json] [--rows N] [--without-peers]. Makes a server of its own with a
million rows, and for each peer an environment in a folder of its own from its lock file. Peers answer twelve
rules, uniqueness among them; what one scan costs is told of the other eleven. Soda counts only, we fetch keys
of failing rows as well. A peer that cannot be installed is named, and its figures are left
out. All figures are ratios of one run on one machine. Exit code 1 where a gate is missed.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
import time
import venv
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import psycopg
from sqlalchemy import Connection, NullPool, create_engine, func, make_url, select, text

from ocd.core.clock import utc_now
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.core.settings import PROJECT
from ocd.quality import apart, conditions, scan
from ocd.quality.look import WORK_MEM
from ocd.quality.policy import Proofs
from ocd.quality.rule import Kind
from ocd.quality.scan import View
from tests.judges.thing import RULES, THING, make

ROWS = 1_000_000
ROUNDS = 3
JUDGES = PROJECT / "tests" / "judges"


@dataclass(frozen=True)
class Peer:
    """Another tool: what it is called, its lock file, and the script that asks the twelve checks."""

    name: str
    lock: Path
    judge: Path


PEERS = (
    Peer(
        "great_expectations",
        PROJECT / "requirements-quality-judge.lock",
        JUDGES / "great_expectations_judge.py",
    ),
    Peer("soda", PROJECT / "requirements-soda-judge.lock", JUDGES / "soda_judge.py"),
)
IN_SCAN = [one for one in RULES if one.kind is not Kind.UNIQUE]
(UNIQUE,) = [one for one in RULES if one.kind is Kind.UNIQUE]
KEYS = Proofs(unique=frozenset({("judged.parent", frozenset({"code"}))}))

#: As somebody would write it who knows the table.
BY_HAND = """
select count(*), count(*) filter (where t.id is null), count(*) filter (where t.name is null),
  count(*) filter (where t.score not between 1 and 5),
  count(*) filter (where t.email !~ '^(?:[a-z0-9]+@[a-z]+[.]test)$'),
  count(*) filter (where t.status not in ('open', 'held', 'done')),
  count(*) filter (where t.code is not null and p.code is null), max(t.made_at),
  count(*) filter (where t.seen_at < t.made_at), count(*) filter (where length(t.body) not between 10 and 400),
  avg((t.is_safe is null)::int), max(t.id)
from judged.thing t left join judged.parent p on p.code = t.code
"""


@dataclass(frozen=True)
class Figure:
    """A ratio, the gate that it must hold, and the goal behind it."""

    name: str
    figure: float
    gate: str
    goal: str

    @property
    def is_met(self) -> bool:
        """Whether the gate holds."""
        sign, bound = self.gate.split(" ")
        return self.figure <= float(bound) if sign == "<=" else self.figure >= float(bound)


def took(deed: Callable[[], object]) -> float:
    """Return how long it took, seconds."""
    started = time.perf_counter()
    deed()
    return time.perf_counter() - started


def ours(conn: Connection, view: View) -> None:
    """Check all twelve rules, with keys of failing rows."""
    scan.scan(conn, THING, IN_SCAN, view)
    apart.ask(conn, UNIQUE, view, None, rows=0)


def counts_only(conn: Connection, view: View) -> None:
    """Check the eleven rules that one scan answers, without any second look."""
    conn.execute(scan.statement_of(THING, IN_SCAN, view), {"now": view.now}).one()


def keys_as_well(conn: Connection, view: View) -> None:
    """Check them with keys of failing rows."""
    scan.scan(conn, THING, IN_SCAN, view)


def by_hand(conn: Connection) -> None:
    """Run the hand-written scan."""
    conn.exec_driver_sql(BY_HAND.replace("%", "%%")).one()


def one_by_one(conn: Connection, view: View) -> None:
    """Ask a statement per rule."""
    for rule in IN_SCAN:
        rows = conditions.table_of(THING)
        if rule.is_of_table:
            query: Any = select(conditions.measured(rule, rows).value).select_from(rows)
        else:
            joined = rows
            if rule.kind is Kind.REFERENCE:
                joined = conditions.with_parent(rule, rows, rows, is_unique=True)
            query = select(func.count()).select_from(joined).where(conditions.failing(rule, rows))
        conn.execute(query, {"now": view.now}).one()


def import_s(python: Path | str, module: str) -> float:
    """Return the processor time that importing takes beyond starting Python, seconds."""
    code = "import time; a = time.process_time(); import {}; print(time.process_time() - a)"
    return min(
        float(subprocess.check_output([python, "-c", code.format(module)], cwd=PROJECT, text=True))
        for _ in range(3)
    )


def installed(peer: Peer, folder: Path) -> Path | None:
    """Make a peer's environment; returns its Python, or None where it cannot be installed."""
    python = folder / "bin" / "python"
    if python.exists():
        return python
    venv.create(folder, with_pip=True)
    install = ["-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    done = subprocess.run(
        [python, *install, "--require-hashes", "-r", peer.lock],
        check=False,
        capture_output=True,
        text=True,
    )
    if done.returncode:
        print(f"{peer.name} left out: {done.stderr.strip().splitlines()[-1]}", file=sys.stderr)
        return None
    return python


def judged(peer: Peer, python: Path, url: str) -> dict[str, float]:
    """Run the twelve checks by a peer; returns seconds of import and checks."""
    now = utc_now()
    asked = {
        "url": make_url(url).set(drivername="postgresql+psycopg2").render_as_string(False),
        "schema": "judged",
        "oldest": (now - timedelta(days=9000)).isoformat(),
        "newest": (now + timedelta(days=9000)).isoformat(),
    }
    done = subprocess.run(
        [python, peer.judge], input=json.dumps(asked), capture_output=True, text=True, check=True
    )
    found = json.loads(done.stdout.splitlines()[-1])
    return {f"{peer.name}_{one}": found[one] for one in ("import_s", "check_s")}


def measure(rows: int, peers: Mapping[Peer, Path]) -> tuple[list[Figure], dict[str, float]]:
    """Make the table and measure; returns figures, and the seconds behind them."""
    with scratch_postgres() as url:
        with psycopg.connect(url, autocommit=True) as owner:
            make(owner, rows)
            owner.execute("vacuum analyze judged.thing")
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        with engine.connect() as conn:
            _prepare(conn)
            # In turn and the least of each, so that a busy spell hits all.
            rounds = [_round(conn, rows, peers, url) for _ in range(ROUNDS)]
        seconds = {name: min(one[name] for one in rounds) for name in rounds[0]}
        engine.dispose()
    seconds["import_s"] = import_s(sys.executable, "ocd.quality.check")
    return list(_figures(seconds)), seconds


def _prepare(conn: Connection) -> None:
    """Give all that is compared, but the peer, the same memory; warm the cache."""
    conn.execute(text(f"set work_mem = '{WORK_MEM}'"))
    conn.execute(text(f"select sum(length(rest::text)) from {THING.table}"))
    conn.commit()


def _round(conn: Connection, rows: int, peers: Mapping[Peer, Path], url: str) -> dict[str, float]:
    view = View(utc_now(), KEYS)
    new = View(view.now, KEYS, above=rows - rows // 10)
    seconds = {
        "ours_s": took(lambda: ours(conn, view)),
        "keys_as_well_s": took(lambda: keys_as_well(conn, view)),
        "counts_only_s": took(lambda: counts_only(conn, view)),
        "by_hand_s": took(lambda: by_hand(conn)),
        "one_by_one_s": took(lambda: one_by_one(conn, view)),
        "new_rows_s": took(lambda: scan.scan(conn, THING, IN_SCAN, new)),
    }
    conn.rollback()
    for peer, python in peers.items():
        seconds |= judged(peer, python, url)
    return seconds


def _figures(seconds: dict[str, float]) -> Sequence[Figure]:
    ours_s, counts = seconds["ours_s"], seconds["counts_only_s"]
    found = [
        Figure("against the hand-written scan", counts / seconds["by_hand_s"], "<= 1.25", "1.0"),
        Figure("faster than a query per rule", seconds["one_by_one_s"] / counts, ">= 1.8", "2.1"),
        Figure("keys of failing rows", seconds["keys_as_well_s"] / counts, "<= 1.15", "1.04"),
        # What looks at new rows only leaves uniqueness to the weekly look at all.
        Figure(
            "a tenth of the rows is new",
            seconds["new_rows_s"] / ours_s,
            "<= 0.2",
            "0.12",
        ),
    ]
    if "great_expectations_check_s" in seconds:
        found += _against_great_expectations(seconds)
    if "soda_check_s" in seconds:
        found.append(Figure("against Soda", ours_s / seconds["soda_check_s"], "<= 1.0", "0.77"))
    return found


def _against_great_expectations(seconds: dict[str, float]) -> list[Figure]:
    check_s, import_s = (
        seconds["great_expectations_check_s"],
        seconds["great_expectations_import_s"],
    )
    whole = (check_s + import_s) / (seconds["ours_s"] + seconds["import_s"])
    return [
        Figure("faster than Great Expectations", check_s / seconds["ours_s"], ">= 2", "2.4"),
        Figure("the same with import", whole, ">= 3.5", "4"),
        Figure("import", seconds["import_s"] / import_s, "<= 0.2", "0.1"),
    ]


def main() -> int:
    """Measure and print; exit code 1 where a gate is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quality", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument("--rows", type=int, default=ROWS, help="fewer rows, to try it out")
    parser.add_argument("--without-peers", action="store_true", help="leave the peers out")
    parser.add_argument(
        "--peers", type=Path, help="folder of the peers' environments, to keep them"
    )
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        folder = options.peers or Path(made)
        asked = () if options.without_peers else PEERS
        found = {one: installed(one, folder / one.name) for one in asked}
        peers = {one: python for one, python in found.items() if python is not None}
        figures, seconds = measure(options.rows, peers)
    if options.json:
        told = [asdict(one) | {"is_met": one.is_met} for one in figures]
        print(json.dumps({"rows": options.rows, "figures": told, "seconds": seconds}, indent=2))
    else:
        for one in figures:
            mark = "" if one.is_met else "   MISSED"
            print(f"{one.name:34} {one.figure:8.2f}   gate {one.gate:8} goal {one.goal}{mark}")
    return int(not all(one.is_met for one in figures))


if __name__ == "__main__":
    sys.exit(main())
