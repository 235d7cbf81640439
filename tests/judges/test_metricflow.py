"""MetricFlow finds nothing wrong with the specifications, and its SQL gives the same rows as ours."""

from __future__ import annotations

import itertools
import json
import math
import random
import re
import subprocess
from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.analytics.kpis.compiler import Cut, compile_query
from ocd.analytics.kpis.files import FOLDER, load
from ocd.core.settings import PROJECT
from tests.analytics.conftest import END
from tests.conftest import _database
from tests.factories.agents import make_approval, make_feedback, make_query
from tests.factories.desk import (
    SHOP,
    make_breaches,
    make_conversation,
    make_decision,
    make_order,
    make_session,
    make_stock,
    make_visits,
)

JUDGE = PROJECT / ".venv-kpis" / "bin" / "python"
SPECS = load()
PERIOD = {"start": END - timedelta(days=1), "end": END}
HOUR = timedelta(hours=1)

pytestmark = pytest.mark.skipif(not JUDGE.exists(), reason="set it up with: .ci/run kpis")


def judge(folder, asked=()):
    return subprocess.run(
        [JUDGE, PROJECT / "tests" / "judges" / "judge.py", folder],
        input=json.dumps(asked),
        capture_output=True,
        text=True,
        timeout=170,
    )


def splits(metric):
    """The dimensions to look at a metric by: those that no filter is made of."""
    text_of_files = "".join(path.read_text() for path in FOLDER.glob("*.yml"))
    model = SPECS.models[metric.model]
    filters = set(re.findall(rf"Dimension\('{model.entity}__([a-z0-9_]+)'\)", text_of_files))
    return sorted(set(model.dimensions) - filters)


def cuts(metric):
    names = splits(metric)
    by = [pick for size in (0, 1, 2) for pick in itertools.combinations(names, size)]
    return [Cut(one, grain) for one in by for grain in (None, "day", "week", "month")]


COMBINATIONS = [(name, cut) for name in SPECS.metrics for cut in cuts(SPECS.metric(name))]


def group_by(name, cut):
    entity = SPECS.models[SPECS.metric(name).model].entity
    dimensions = [f"{entity}__{one}" for one in cut.by]
    return dimensions + ([f"metric_time__{cut.grain}"] if cut.grain else [])


@pytest.fixture(scope="module")
def desk(server, template):
    """A connection to a database in which every model has rows, in and out of its windows."""
    rng = random.Random("a desk at work")

    def past(days):
        return END - rng.randrange(-5, 24 * days) * HOUR

    for database in _database(server, template):
        with database.engine.connect() as conn:
            for _ in range(120):
                make_query(
                    conn,
                    agent=rng.choice(("data", "ops", " ", "")),
                    created_at=past(3),
                    approved=rng.choice((True, False, None)),
                    human_edited=rng.random() < 0.3,
                    latency_ms=rng.choice((None, 50, 200, 201, 4000)),
                )
                status = rng.choice(("pending", "approved", "expired"))
                make_approval(conn, created_at=past(3), status=status, agent=rng.choice("ab"))
                make_feedback(
                    conn,
                    created_at=past(3),
                    safe_to_send=rng.choice((True, False, None)),
                    meta=rng.choice(({}, {"model_version": "1"}, {"model_version": "2"})),
                )
                shop = rng.choice(("a.test", "b.test", SHOP))
                make_order(
                    conn,
                    created_at=past(rng.choice((3, 70))),
                    shop=shop,
                    amount=rng.randrange(1, 900) / 7,
                    currency="USD" if shop == SHOP else rng.choice(("USD", "USD", "EUR")),
                    status=rng.choice(("FULFILLED", "UNFULFILLED", "ON_HOLD", None)),
                    paid=rng.choice(("PAID", "PAID", "PARTIALLY_REFUNDED", None)),
                    cancelled_at=rng.choice((None, None, END)),
                    sku=rng.choice("xyz"),
                    quantity=rng.randrange(9),
                )
                make_conversation(
                    conn,
                    created_at=past(3),
                    status=rng.choice(("open", "open", "snoozed")),
                    priority=rng.choice((None, "low", "urgent")),
                    waiting_since_at=rng.choice((None, past(1))),
                    first_reply_at=rng.choice((None, END)),
                )
                make_session(conn, rng.choice("abcdef"), past(20))
                make_decision(conn, past(20), shop=rng.choice("abcdef"))
                make_decision(conn, past(9), conversation=rng.choice("123456789"))
                conn.execute(
                    text(
                        "insert into decision_sync_event_logs (decision_id, status, scope, created_at)"
                        " values (:id, :status, :scope, :at)"
                    ),
                    {
                        "id": rng.randrange(10**9),
                        "status": rng.choice(("ok", "failed", "odd")),
                        "scope": rng.choice(("ops", "cx")),
                        "at": past(2),
                    },
                )
            for sku, policy in itertools.product(("x", "y", None), ("DENY", "CONTINUE")):
                make_stock(conn, sku, rng.randrange(-3, 40), policy)
            make_breaches(conn, {one: past(9) for one in "123456789"}, past(3))
            for day in range(1, 20):
                pages = {page: rng.randrange(60) for page in ("/", "/a", "")}
                pages["/fell"] = 5 if day <= 7 else 10
                make_visits(conn, (END - timedelta(days=day)).date(), pages)
            conn.commit()
            yield conn


def rows(conn, statement, names):
    """The rows by their dimensions, whatever order either side gives them in."""
    found = conn.execute(text(statement), PERIOD).mappings().all()
    return {
        tuple(row[name] for name in names[:-1]): None
        if row[names[-1]] is None
        else float(row[names[-1]])
        for row in found
    }


def same(ours, theirs):
    """Whether both have the same keys, gaps and numbers."""
    if ours.keys() != theirs.keys():
        return False
    pairs = [(ours[key], theirs[key]) for key in ours]
    return all(
        (one is None) is (other is None)
        and (one is None or math.isclose(one, other, rel_tol=1e-9, abs_tol=1e-12))
        for one, other in pairs
    )


def test_the_judge_finds_nothing_wrong_with_the_files():
    done = judge(FOLDER)

    assert (done.returncode, done.stdout) == (0, "[]"), done.stdout + done.stderr


def test_the_judge_can_say_no(tmp_path):
    for path in FOLDER.glob("*.yml"):
        wrong = path.read_text().replace(
            "numerator: {name: agent_approved}", "numerator: {name: x}"
        )
        (tmp_path / path.name).write_text(wrong)

    done = judge(tmp_path)

    assert done.returncode == 1
    assert "Metric 'x' is not configured" in done.stdout


def test_every_metric_has_the_judges_rows_by_every_grain_and_up_to_two_dimensions(desk):
    asked = [(name, group_by(name, cut)) for name, cut in COMBINATIONS]
    done = judge(FOLDER, asked)
    assert done.returncode == 0, done.stdout + done.stderr

    different, told = set(), set()
    for (name, cut), theirs in zip(COMBINATIONS, json.loads(done.stdout), strict=True):
        keys = [*cut.by, *(["metric_time"] if cut.grain else []), name]
        ours = rows(desk, compile_query(SPECS, [name], cut).text, keys)
        meant = rows(desk, theirs, [*group_by(name, cut), name])
        if not same(ours, meant):
            different.add((name, cut))
        if any(meant.values()):
            told.add(name)

    assert different == set()
    assert told == set(SPECS.metrics)
    assert len(COMBINATIONS) >= 200
