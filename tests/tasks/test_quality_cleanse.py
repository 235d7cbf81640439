"""`ocd quality cleanse plan | apply | revert`, as a person types them."""

from __future__ import annotations

import psycopg
import pytest

from ocd.core.embedded import Postgres
from tests.shell import fresh_home

FILL = """
    insert into landing.shopify_orders (shop_domain, order_id, currency)
    select 'demo', 'x' || n, case when n <= 3 then ' usd' else 'USD' end from generate_series(1, 40) n
"""


@pytest.fixture(scope="module")
def desk():
    """A home with three faulty orders and a worker."""
    with fresh_home() as made:
        made.keep_up()
        with psycopg.connect(Postgres(made.home).url("owner"), autocommit=True) as owner:
            owner.execute(FILL)
        yield made


def currencies(desk):
    with psycopg.connect(Postgres(desk.home).url("worker")) as conn:
        return [
            row[0]
            for row in conn.execute(
                "select currency from landing.shopify_orders order by id limit 4"
            )
        ]


def test_planned_rehearsed_applied_and_taken_back(desk):
    page = desk("quality", "cleanse", "plan", "shopify_orders").stdout
    planned = desk.json("quality", "cleanse", "plan", "shopify_orders")
    assert planned["rows"] == 3
    assert "·usd" in page
    assert f"apply it with: ocd quality cleanse apply {planned['hash']}" in page

    (rehearsed,) = desk.json("quality", "cleanse", "apply", planned["hash"], "--dry-run")
    assert currencies(desk)[0] == " usd"
    (applied,) = desk.json("quality", "cleanse", "apply", planned["hash"])
    assert rehearsed["evidence"]["rows"] == applied["evidence"]["rows"] == 3
    assert currencies(desk) == ["USD"] * 4

    (again,) = desk.json("quality", "cleanse", "apply", planned["hash"])
    assert (again["id"], again["evidence"]["rows"]) == (applied["id"], 0)
    assert "nothing to mend" in desk("quality", "cleanse", "plan", "shopify_orders").stdout

    (would,) = desk.json("quality", "cleanse", "revert", str(applied["id"]), "--dry-run")
    (reverted,) = desk.json("quality", "cleanse", "revert", str(applied["id"]))
    assert would["evidence"]["rows"] == reverted["evidence"]["rows"] == 3
    assert currencies(desk) == [" usd"] * 3 + ["USD"]


def test_what_cannot_be_says_what_can(desk):
    cleanse = ("quality", "cleanse")
    assert "never cleansed" in desk(*cleanse, "plan", "decision_log", code=2).stderr
    assert (
        "did you mean"
        in desk(
            *cleanse, "plan", "shopify_orders", "--fix", "shopify_orders.currency.trimm", code=2
        ).stderr
    )
    assert "cleanse plan TABLE" in desk(*cleanse, "apply", "0" * 16, code=1).stdout
    assert "mended nothing" in desk(*cleanse, "revert", "1", "--dry-run", code=1).stdout


def test_the_jobs_are_on_demand(desk):
    when = {one["job"]: one["when"] for one in desk.json("jobs")}

    assert when["quality.cleanse"] == when["quality.revert_cleansing"] == "on demand"
