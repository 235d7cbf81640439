"""Key figures equal an independent computation, on rows that hypothesis draws."""

from __future__ import annotations

from collections import defaultdict
from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.analytics.conftest import END
from tests.factories.desk import (
    make_breaches,
    make_conversation,
    make_decision,
    make_order,
    make_session,
    make_stock,
    make_visits,
)
from tests.warehouse.arithmetic import percentile, ratio

drawn = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
#: Whole hours before the end, its edges among them.
HOURS = st.integers(-2, 16 * 24)
#: And before two months, for those that look so far back.
LONG = st.one_of(HOURS, st.integers(16 * 24, 62 * 24))


def number(figure):
    return None if figure is None or figure.value is None else float(figure.value)


def expect(found, metric, scope, value):
    assert number(found.get((metric, scope))) == pytest.approx(value), (metric, scope)


ORDERS = st.lists(
    st.tuples(
        st.sampled_from(("a.test", "b.test")),
        LONG,
        st.integers(1, 500),
        st.sampled_from(("USD", "USD", "USD", "EUR")),
        st.sampled_from((None, None, None, "cancelled", "test", "closed")),
        st.sampled_from(("UNFULFILLED", "FULFILLED", "ON_HOLD", None, "FULFILLMENT_NOT_REQUIRED")),
        st.sampled_from(("PAID", "REFUNDED", "PARTIALLY_REFUNDED", None)),
    ),
    max_size=20,
)


@drawn
@given(ORDERS)
def test_sales_and_fulfillment(conn, figures, orders):
    conn.rollback()
    for shop, hours, amount, currency, oddity, status, paid in orders:
        make_order(
            conn,
            created_at=END - hours * HOUR,
            shop=shop,
            amount=amount,
            currency=currency,
            status=status,
            paid=paid,
            is_test=oddity == "test",
            cancelled_at=END if oddity == "cancelled" else None,
            closed_at=END if oddity == "closed" else None,
        )

    found = figures()

    for scope in ("", "a.test", "b.test"):
        sold = [one for one in orders if one[0] in (scope or one[0]) and one[4] in (None, "closed")]

        def total(first, last, sold=sold):
            """Sales, currencies and orders of the hours (first, last] before the end."""
            rows = [one for one in sold if first < one[1] <= last]
            return sum(one[2] for one in rows), {one[3] for one in rows}, len(rows)

        for metric, days, recent, before in (
            ("sales_delta_24h", 7, total(0, 24), total(24, 192)),
            ("sales_delta_wow", 1, total(0, 168), total(168, 336)),
            ("revenue_change_30d", 1, total(0, 720), total(720, 1440)),
        ):
            is_mixed = len(recent[1] | before[1]) > 1
            mean = before[0] / days
            delta = None if is_mixed or not mean else (recent[0] - mean) / mean
            expect(found, metric, scope, delta)
        # Still those of the 30 days and the 30 before.
        values = [ratio(one[0], one[2]) for one in (recent, before)]
        change = None if is_mixed or None in values else (values[0] - values[1]) / values[1]
        expect(found, "order_value_change_30d", scope, change)
        month = [one for one in sold if 0 < one[1] <= 720]
        returned = [one for one in month if one[6] in ("REFUNDED", "PARTIALLY_REFUNDED")]
        expect(found, "returns_rate", scope, ratio(len(returned), len(month)))
        hand = [
            one
            for one in sold
            if one[4] is None and 0 < one[1] <= 1440 and one[5] != "FULFILLMENT_NOT_REQUIRED"
        ]
        overdue = [one for one in hand if one[1] > 24 and one[5] not in ("FULFILLED", "ON_HOLD")]
        expect(found, "fulfillment_issue_rate", scope, ratio(len(overdue), len(hand)))


@drawn
@given(
    st.lists(
        st.tuples(
            st.integers(-60, 3 * 1440),
            st.sampled_from(("open", "snoozed", "resolved")),
            st.sampled_from((None, "low", "urgent")),
            st.one_of(st.none(), st.integers(0, 120)),
            st.one_of(st.none(), st.integers(0, 10)),
        ),
        max_size=25,
    )
)
def test_waiting(conn, figures, conversations):
    conn.rollback()
    minute = HOUR / 60
    for age, status, priority, waited, answered in conversations:
        created_at = END - age * minute
        make_conversation(
            conn,
            created_at=created_at,
            status=status,
            priority=priority,
            waiting_since_at=None if waited is None else END - waited * minute,
            first_reply_at=None if answered is None else created_at + answered * minute,
        )

    found = figures()

    still_open = [one for one in conversations if one[1] == "open" and one[0] > 0]
    late = [
        one
        for one in still_open
        if one[3] is not None and one[3] > (30 if one[2] == "urgent" else 60)
    ]
    expect(found, "sla_breach_rate", "", ratio(len(late), len(still_open)))
    waiting = [one for one in still_open if one[3] is not None and one[3] > 15]
    expect(found, "support_customers_waiting", "", len(waiting))
    begun = [one for one in conversations if 0 < one[0] <= 1440]
    slow = [one for one in begun if (one[0] if one[4] is None else one[4]) > 5]
    expect(found, "first_response_breach_rate", "", ratio(len(slow), len(begun)))


@drawn
@given(
    st.lists(
        st.dictionaries(st.sampled_from(("/a", "/b", "/c")), st.integers(0, 40), max_size=3),
        min_size=14,
        max_size=14,
    )
)
def test_traffic(conn, figures, days):
    conn.rollback()
    for back, visits in enumerate(days, 1):
        make_visits(conn, (END - back * DAY).date(), visits)

    found = figures()

    recent, before = defaultdict(int), defaultdict(int)
    for back, visits in enumerate(days, 1):
        for page, count in visits.items():
            for place in (page, ""):
                (recent if back <= 7 else before)[place] += count
    for place in ("", "/a", "/b", "/c"):
        change = None
        if before[place] >= 50:
            change = (recent[place] - before[place]) / before[place]
        if place and (change is None or change > -0.2):
            assert ("traffic_change_wow", place) not in found
        else:
            expect(found, "traffic_change_wow", place, change)
    falling = sum(metric == "traffic_change_wow" and bool(page) for metric, page in found)
    expect(found, "traffic_pages_falling", "", falling if any(days) else None)


@drawn
@given(
    st.lists(
        st.tuples(
            st.sampled_from(("x", "y", None)),
            st.one_of(st.none(), st.integers(-9, 60)),
            st.sampled_from(("DENY", "CONTINUE", None)),
        ),
        max_size=8,
    ),
    st.lists(
        st.tuples(st.sampled_from(("x", "y")), HOURS, st.integers(1, 40), st.booleans()),
        max_size=15,
    ),
)
def test_inventory(conn, figures, stock, sales):
    conn.rollback()
    for sku, quantity, policy in stock:
        make_stock(conn, sku, quantity, policy)
    for sku, hours, quantity, is_test in sales:
        make_order(conn, created_at=END - hours * HOUR, sku=sku, quantity=quantity, is_test=is_test)

    measured = figures()
    found = {scope: one for (metric, scope), one in measured.items() if metric == "inventory_cover"}

    expected, scarce, at_risk = {}, 0, 0
    for sku in ("x", "y"):
        rows = [one for one in stock if one[0] == sku and one[2] != "CONTINUE"]
        sold = sum(
            one[2] for one in sales if one[0] == sku and 0 < one[1] <= 14 * 24 and not one[3]
        )
        cover = ratio(14 * sum(max(one[1] or 0, 0) for one in rows), sold)
        if rows and cover is not None and cover <= 7:
            expected[sku] = cover
        scarce += bool(rows) and cover is not None and cover < 14
        at_risk += bool(rows) and cover is not None and cover <= 28
    assert {sku: number(one) for sku, one in found.items()} == pytest.approx(expected)
    risk = measured["stock_items_at_risk", ""]
    if risk.value is None:
        assert not [one for one in stock if one[0] and one[2] != "CONTINUE"]
    else:
        assert (risk.value, risk.inputs["stock_items_scarce"]) == (at_risk, scarce)


@drawn
@given(
    st.lists(st.tuples(st.sampled_from("abc"), HOURS), max_size=12),
    st.lists(
        st.tuples(st.sampled_from("abcd"), HOURS, st.sampled_from(("ops", "build"))), max_size=12
    ),
)
def test_activation(conn, figures, sessions, decisions):
    conn.rollback()
    for shop, hours in sessions:
        make_session(conn, shop, END - hours * HOUR)
    for shop, hours, scope in decisions:
        make_decision(conn, END - hours * HOUR, shop=shop, scope=scope)

    found = figures()

    active = {shop for shop, hours in sessions if 0 < hours <= 168}
    decided = {shop for shop, hours, scope in decisions if 0 < hours <= 168 and scope == "ops"}
    expect(found, "activation_rate", "", ratio(len(active & decided), len(active)))


@drawn
@given(
    st.lists(st.dictionaries(st.sampled_from("12345"), HOURS, max_size=5), max_size=4),
    st.lists(st.tuples(st.sampled_from("12345"), HOURS), max_size=15),
)
def test_resolution_of_breaches(conn, figures, refreshes, decisions):
    conn.rollback()
    for breaches in refreshes:
        said = {one: END - hours * HOUR for one, hours in breaches.items()}
        make_breaches(conn, said, END - DAY)
    for conversation, hours in decisions:
        make_decision(conn, END - hours * HOUR, conversation=conversation)

    found = figures()

    distinct = {one for breaches in refreshes for one in breaches.items() if 0 < one[1] <= 168}
    minutes = []
    for conversation, breached in distinct:
        # Fewer hours before the end is later.
        after = [hours for who, hours in decisions if who == conversation and 0 < hours <= breached]
        minutes += [60 * (breached - max(after))] if after else []
    expect(found, "sla_resolution_p50", "", percentile(minutes, 0.5))
    expect(found, "sla_resolution_p90", "", percentile(minutes, 0.9))
    assert found["sla_resolution_p50", ""].inputs["sla_breaches"] == len(distinct)
