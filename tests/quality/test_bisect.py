"""The rows in which a table and its copy differ are found, all of them and no others, with few hashes."""

from __future__ import annotations

import math
import random

import psycopg
import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError
from ocd.datasets.mirrors import SHOPIFY_INVENTORY
from ocd.quality.bisect import FANOUT, LEAF_ROWS, MOST_KEYS, Side, compare

ROWS = 20_000
FILL = """
    insert into landing.shopify_inventory (shop_domain, variant_id, sku, quantity)
    select 's', 'v' || n, case when n % 7 > 0 then 'sku-' || n end, n % 50 from generate_series(1, {rows}) n
"""


@pytest.fixture
def copied(db):
    """Fill the table and copy it beside."""

    def deed(rows=ROWS):
        with psycopg.connect(db.superuser_url, autocommit=True) as owner:
            owner.execute("alter table landing.shopify_inventory disable row level security")
            owner.execute(FILL.format(rows=rows))
            owner.execute(
                "create table landing.restored (like landing.shopify_inventory including all)"
            )
            owner.execute(
                "insert into landing.restored overriding system value select * from landing.shopify_inventory"
            )
            owner.execute("grant select, insert, update, delete on landing.restored to ocd_worker")
            owner.execute("analyze landing.shopify_inventory, landing.restored")

    return deed


@pytest.fixture
def differences(conn):
    def deed():
        conn.commit()
        sides = (
            Side.of(conn, SHOPIFY_INVENTORY),
            Side.of(conn, SHOPIFY_INVENTORY, table="landing.restored"),
        )
        found = compare(*sides)
        conn.rollback()
        return found

    return deed


def change(conn, key):
    conn.execute(
        text("update landing.restored set quantity = quantity + 1 where id = :id"), {"id": key}
    )


def test_an_equal_copy_costs_one_hash(copied, differences):
    copied()

    found = differences()

    assert (found.count, found.hashes, found.rows, found.ranges) == (0, 1, ROWS, ())


@pytest.mark.parametrize("key", [1, 7_777, ROWS], ids=["first", "middle", "last"])
def test_one_changed_row_is_found_in_about_logarithmic_many_hashes(conn, copied, differences, key):
    copied()
    change(conn, key)

    found = differences()

    assert (found.changed, found.missing, found.added) == ((key,), (), ())
    assert found.ranges == ((key, key),)
    assert found.hashes <= 1 + FANOUT * math.ceil(math.log(ROWS, FANOUT))


@pytest.mark.parametrize("seed", range(5))
def test_planted_differences_are_found_exactly(conn, copied, differences, seed):
    copied(3_000)
    rng = random.Random(seed)
    picked = rng.sample(range(1, 3_001), 30)
    changed, missing = sorted(picked[:10]), sorted(picked[10:20])
    added = sorted(rng.sample(range(3_001, 9_000_000), 10))
    for key in changed:
        change(conn, key)
    conn.execute(text("delete from landing.restored where id = any(:ids)"), {"ids": missing})
    for key in added:
        conn.execute(
            text("""
                insert into landing.restored (id, shop_domain, variant_id) overriding system value
                values (:id, 's', 'n' || :id)
            """),
            {"id": key},
        )

    found = differences()

    assert (found.changed, found.missing, found.added) == (
        tuple(changed),
        tuple(missing),
        tuple(added),
    )
    assert found.is_all
    keys = [*changed, *missing, *added]
    assert all(any(low <= key <= high for low, high in found.ranges) for key in keys)


def test_a_value_that_became_null_is_a_change(conn, copied, differences):
    copied(100)
    conn.execute(text("update landing.restored set sku = null where id = 3"))

    assert differences().changed == (3,)


@pytest.mark.parametrize("side", ["restored", "shopify_inventory"])
def test_an_empty_side_lacks_every_row(conn, copied, differences, side):
    copied(50)
    conn.execute(text(f"delete from landing.{side}"))

    found = differences()

    assert (len(found.missing), len(found.added)) == ((50, 0) if side == "restored" else (0, 50))


def test_tables_that_differ_everywhere_are_not_listed_without_end(conn, copied, differences):
    copied(MOST_KEYS + 5_000)
    conn.execute(text("update landing.restored set quantity = -1"))

    found = differences()

    assert not found.is_all
    assert MOST_KEYS < found.count <= MOST_KEYS + LEAF_ROWS


def test_two_empty_tables_are_equal(copied, differences):
    copied(0)

    assert differences().count == 0


def test_other_columns_cannot_be_compared(db, copied, differences):
    copied(1)
    with psycopg.connect(db.superuser_url, autocommit=True) as owner:
        owner.execute("alter table landing.restored alter quantity type bigint")

    with pytest.raises(ConfigError, match="quantity"):
        differences()


def test_a_copy_that_is_not_there_is_named(conn):
    with pytest.raises(ConfigError, match=r"landing\.nothing"):
        compare(
            Side.of(conn, SHOPIFY_INVENTORY),
            Side.of(conn, SHOPIFY_INVENTORY, table="landing.nothing"),
        )
