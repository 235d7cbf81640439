"""What a night's rollup costs as tables grow, and how long tiles wait: `python -m benchmarks.metrics`.

Fills a database of its own with so many rows a day, once over some days and once over three times as
many: a day's rollup must cost the same. Every figure of a kind comes from one run on one server.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Mapping
from typing import Any

import psycopg
from sqlalchemy import Connection, Engine, NullPool, create_engine, make_url, text

from ocd.core import migrate
from ocd.core.clock import utc_now
from ocd.core.cluster import scratch_postgres
from ocd.core.db import sqlalchemy_url
from ocd.ledger import claims, enqueue
from ocd.ledger.windows import Daily
from ocd.warehouse.rollup import rollup
from tasks.warehouse import measured

ROWS = 1_000_000
ROWS_PER_DAY = 5_000
ROUNDS = 9
TILE_ROUNDS = 60
#: A day's cost at three times the rows, over its cost at once the rows.
MAX_RATIO = 1.3
#: What a tile may take, as people wait for it.
TILE_P95_MS = 500

LOGINS = (
    "create role ocd_owner login password 'owner' createrole createdb bypassrls",
    "create role ocd_worker login password 'worker' bypassrls",
    "create role ocd_api login password 'api' noinherit",
    "create role ocd_reader login password 'reader'",
)
#: One statement per table: how many of a hundred rows are its own, and how one is made. `at` lies evenly
#: in the days; `n` counts; only the newest hundred approvals wait.
TABLES = {
    "agent_queries": (
        50,
        """insert into agent_queries (query, result, conversation_id, agent, approved, human_edited, latency_ms, created_at)
        select 'q', '{}', 'c' || n / 3, 'agent-' || n %% 7, case n %% 10 when 0 then null when 1 then false else true end,
          n %% 7 = 0, 20 + n * 37 %% 400, at""",
    ),
    "agent_feedback": (
        20,
        """insert into agent_feedback (conversation_id, input_text, model_draft, safe_to_send, labels, rubric, annotator, meta, created_at)
        select 'c' || n / 3, 'in', 'out', case n %% 5 when 0 then null when 1 then false else true end, '{helpful}',
          '{"clarity": 4, "accuracy": 5, "tone": 3}', 'ann-' || n %% 5, '{"model_version": "1"}', at""",
    ),
    "agent_approvals": (
        10,
        """insert into agent_approvals (conversation_id, serialized, status, approved_by, resolved_at, created_at)
        select 'c' || n / 3, '{}', case when newest then 'pending' else 'approved' end, case when newest then null else 'ann' end,
          case when newest then null else at + interval '20 minutes' end, at""",
    ),
    "landing.shopify_orders": (
        8,
        """insert into landing.shopify_orders (shop_domain, order_id, total_amount, currency, is_test, display_fulfillment_status, closed_at, created_at)
        select 'shop.test', 'o' || n, 10 + n %% 90, 'USD', false, case when n %% 9 = 0 then 'UNFULFILLED' else 'FULFILLED' end,
          case when n %% 3 = 0 then null else at + interval '2 days' end, at""",
    ),
    "landing.shopify_order_lines": (
        8,
        """insert into landing.shopify_order_lines (shop_domain, order_id, line_number, sku, quantity)
        select 'shop.test', 'o' || n, 1, 'sku-' || n %% 500, 1 + n %% 3""",
    ),
    "decision_sync_event_logs": (
        2,
        """insert into decision_sync_event_logs (decision_id, status, duration_ms, scope, created_at)
        select n, case when n %% 20 = 0 then 'timeout' else 'ok' end, 50 + n %% 500, 'ops', at""",
    ),
    "decision_log": (
        1,
        """insert into decision_log (scope, actor, action, shop_domain, external_ref, created_at)
        select 'ops', 'ann', 'reply', 'shop-' || n %% 50, 'chatwoot:' || n, at""",
    ),
    "dashboard_facts": (
        1,
        """insert into dashboard_facts (shop_domain, fact_type, value, created_at)
        select 'shop-' || n %% 60, 'dashboard.session.opened', '{}', at""",
    ),
}
FIXED = (
    """insert into landing.shopify_inventory (shop_domain, variant_id, sku, quantity, inventory_policy)
    select 'shop.test', 'v' || n, 'sku-' || n, n % 60, 'DENY' from generate_series(0, 499) n""",
    """insert into landing.ga_partition (property, report, day, origin, fetched_at, run_id, row_count, is_provisional)
    select '1', 'landing_pages', current_date - n, 'recorded', now(), 1, 200, false from generate_series(1, 60) n""",
    """insert into landing.ga_row (partition_id, row_number, dimensions, metrics)
    select id, n, jsonb_build_object('landingPage', '/p' || n), jsonb_build_object('sessions', (40 + n)::text)
    from landing.ga_partition cross join generate_series(1, 200) n""",
)
#: What tiles ask, and the role that asks.
TILES = {
    "approval_queue_depth": (
        "operator_readonly",
        "select * from approval_queue_depth order by day",
    ),
    "agent_response_accuracy": (
        "operator_readonly",
        "select * from agent_response_accuracy order by place",
    ),
    "agent_performance_snapshot": (
        "monitoring_team",
        "select * from agent_performance_snapshot order by agent",
    ),
    "training_data_quality": ("qa_team", "select * from training_data_quality"),
    "annotation_progress": ("annotator", "select * from annotation_progress order by day"),
    "decision_sync_health": ("operator_readonly", "select * from decision_sync_health"),
    "metric_facts": (
        "ocd_reader",
        "select * from metric_facts where metric = 'agent_queries' and scope = '' order by period_start desc limit 30",
    ),
}


def fill(url: str, rows: int, first_day: int, last_day: int) -> None:
    """Add `rows` rows, spread evenly over the days from so many days ago to so many days ago."""
    with psycopg.connect(url, autocommit=True) as conn:
        for share, statement in TABLES.values():
            count = rows * share // 100
            conn.execute(
                f"{statement} from (select cast(n + %(base)s as bigint) as n, n > %(count)s - 100 and %(last)s = 0 as newest, "
                "date_trunc('day', now()) - make_interval(days => %(first)s) "
                "+ n * (make_interval(days => %(first)s - %(last)s) / %(count)s) as at "
                "from generate_series(1, %(count)s) n) made",
                {
                    "count": count,
                    "first": first_day,
                    "last": last_day,
                    "base": first_day * 1_000_000,
                },
            )
        conn.execute("vacuum analyze")


def prepare(url: str) -> str:
    """Make logins and schema; return the superuser's URL of the database."""
    with psycopg.connect(url, autocommit=True) as conn:
        for login in LOGINS:
            conn.execute(login)
        conn.execute("create database metrics owner ocd_owner")
    made = make_url(url).set(drivername="postgresql", database="metrics")
    owner = made.set(username="ocd_owner", password="owner")
    migrate.upgrade(owner.render_as_string(hide_password=False))
    superuser = made.render_as_string(hide_password=False)
    with psycopg.connect(superuser, autocommit=True) as conn:
        for statement in FIXED:
            conn.execute(statement)
    return superuser


def rollup_ms(engine: Engine, rounds: int) -> list[float]:
    """Roll yesterday up so often, and return what each took, milliseconds."""
    took = []
    now = utc_now()
    window = Daily().last_closed(now)
    for _ in range(rounds):
        with engine.begin() as conn:
            order = enqueue.Order("benchmark.rollup", window, "short")
            placed = enqueue.add(conn, order, retry_ended=True, force=True)
        run = claims.claim(engine, placed.run_id, job="benchmark.rollup", worker="b", lease_s=300)
        assert run is not None
        with engine.connect() as conn:
            started = time.perf_counter()
            rollup(conn, run=run, now=now, measure=measured)
            took.append(1000 * (time.perf_counter() - started))
        with engine.begin() as conn:
            conn.execute(text("delete from ocd.run where id = :id"), {"id": run.id})
    return took


def tiles_ms(engine: Engine, rounds: int) -> dict[str, float]:
    """Return the 95th percentile of every tile's query, milliseconds."""
    with engine.connect() as conn:
        return {
            name: percentile([one_tile(conn, *tile) for _ in range(rounds)], 0.95)
            for name, tile in TILES.items()
        }


def one_tile(conn: Connection, role: str, query: str) -> float:
    """Ask once as the role; return what it took, milliseconds."""
    conn.exec_driver_sql(f"set local role {role}")
    started = time.perf_counter()
    conn.exec_driver_sql(query).all()
    took = 1000 * (time.perf_counter() - started)
    conn.rollback()
    return took


def percentile(numbers: list[float], share: float) -> float:
    """Return the smallest number that so large a share of them does not exceed."""
    return sorted(numbers)[round(share * (len(numbers) - 1))]


def main() -> int:
    """Measure and print; exit code 1 where a figure misses what the documentation says."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.metrics", description=__doc__)
    parser.add_argument("--json", action="store_true", help="print JSON instead of a table")
    parser.add_argument(
        "--scale", type=float, default=1.0, help="a part of the rows, to try it out"
    )
    options = parser.parse_args()
    rows = int(ROWS * options.scale)
    found = measure(rows, max(1, rows // ROWS_PER_DAY))
    if options.json:
        print(json.dumps(found, indent=2))
    else:
        for name, value in found.items():
            print(
                f"{name:45} {value:>12,.2f}"
                if isinstance(value, float)
                else f"{name:45} {value:>12,}"
            )
    return 0 if is_held(found) else 1


def is_held(found: Mapping[str, float]) -> bool:
    """Whether every figure is what the documentation says."""
    is_slow = any(value > TILE_P95_MS for name, value in found.items() if "p95" in name)
    return not is_slow and found["rollup_ratio"] <= MAX_RATIO


def measure(rows: int, days: int) -> dict[str, Any]:
    """Measure at `rows` rows over `days` days, then at three times as many of each."""
    with scratch_postgres() as server:
        url = prepare(server)
        engine = create_engine(sqlalchemy_url(url), poolclass=NullPool)
        fill(url, rows, days, 0)
        once = rollup_ms(engine, ROUNDS)
        tiles = tiles_ms(engine, TILE_ROUNDS)
        fill(url, 2 * rows, 3 * days, days)
        thrice = rollup_ms(engine, ROUNDS)
        tiles_thrice = tiles_ms(engine, TILE_ROUNDS)
        engine.dispose()
    figures: dict[str, Any] = {"rows": rows, "rows_per_day": rows // days}
    figures["rollup_ms"] = statistics.median(once)
    figures["rollup_ms_at_3x"] = statistics.median(thrice)
    figures["rollup_ratio"] = statistics.median(thrice) / statistics.median(once)
    for name in TILES:
        figures[f"{name}_p95_ms"] = tiles[name]
        figures[f"{name}_p95_ms_at_3x"] = tiles_thrice[name]
    return figures


if __name__ == "__main__":
    sys.exit(main())
