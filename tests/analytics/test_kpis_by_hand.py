"""Key figures on rows small enough to compute by hand; the arithmetic stands beside each."""

from __future__ import annotations

from datetime import date, timedelta
from zoneinfo import ZoneInfo

import pytest
from sqlalchemy import text

from ocd.ledger.windows import day_window
from tests.analytics.conftest import END
from tests.factories.agents import make_query
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

HOUR = timedelta(hours=1)
DAY = timedelta(days=1)
MOMENT = timedelta(microseconds=1)


def told(figure):
    """Value, reason and level, the value as a float."""
    value = None if figure.value is None else float(figure.value)
    return value, figure.reason, figure.level


def test_sales_of_a_day_are_held_against_the_mean_of_the_seven_days_before(conn, figures):
    make_order(conn, created_at=END - HOUR, amount=130)
    for days in range(7):
        make_order(conn, created_at=END - DAY - HOUR - days * DAY, amount=100)

    found = figures()

    # (130 - 700/7) / (700/7) = 0.30, which is not more than 0.30.
    assert told(found["sales_delta_24h", ""]) == (pytest.approx(0.3), None, "warn")
    assert found["sales_delta_24h", SHOP].value == found["sales_delta_24h", ""].value
    # The last 7 days have 130 + 6 * 100 = 730, the 7 before 100: (730 - 100) / 100.
    assert told(found["sales_delta_wow", ""]) == (pytest.approx(6.3), None, "ok")


def test_an_order_on_the_edge_counts_once(conn, figures):
    """24 hours before the end it is today's, a moment earlier the baseline's; 8 days before, still that."""
    make_order(conn, created_at=END - DAY, amount=20)
    make_order(conn, created_at=END - DAY - MOMENT, amount=70)
    make_order(conn, created_at=END - 8 * DAY, amount=70)
    make_order(conn, created_at=END - 8 * DAY - MOMENT, amount=5000)
    make_order(conn, created_at=END, amount=5000)

    inputs = figures()["sales_delta_24h", ""].inputs

    # 20 today; 70 + 70 in the seven days before.
    assert {name: float(one) for name, one in inputs.items()} == {
        "sales_last_24h": 20,
        "sales_7_days_before": 140,
        "sales_currencies": 1,
    }


def test_without_a_baseline_there_is_no_delta_and_a_reason(conn, figures):
    make_order(conn, created_at=END - HOUR)

    found = figures()

    assert told(found["sales_delta_24h", ""]) == (None, "no_baseline", None)
    assert told(found["sales_delta_wow", SHOP]) == (None, "no_baseline", None)


def test_no_sales_against_a_baseline_is_a_loss_of_everything(conn, figures):
    make_order(conn, created_at=END - 2 * DAY)

    assert told(figures()["sales_delta_24h", ""]) == (-1, None, "crit")


def test_currencies_are_not_added_up(conn, figures):
    make_order(conn, created_at=END - 2 * DAY, shop="a.test", currency="USD")
    make_order(conn, created_at=END - 2 * DAY, shop="b.test", currency="EUR")

    found = figures()

    assert told(found["sales_delta_24h", ""]) == (None, "mixed_currencies", None)
    assert told(found["sales_delta_24h", "b.test"]) == (-1, None, "crit")


@pytest.mark.parametrize(
    "odd", [{"cancelled_at": END}, {"is_test": True}], ids=lambda one: next(iter(one))
)
def test_cancelled_and_test_orders_are_not_sales(conn, figures, odd):
    make_order(conn, created_at=END - 2 * DAY, amount=70)
    make_order(conn, created_at=END - HOUR, amount=999, **odd)

    assert figures()["sales_delta_24h", ""].value == -1


@pytest.mark.parametrize(
    ("last_day", "hours"),
    [(date(2026, 3, 29), 167), (date(2026, 10, 25), 169)],
    ids=["clocks set forward", "clocks set back"],
)
def test_a_week_ends_at_the_shops_midnight_when_clocks_change(conn, figures, last_day, hours):
    """Berlin set its clocks on 29 March and 25 October, both Sundays."""
    berlin = ZoneInfo("Europe/Berlin")
    sunday, monday = day_window(last_day, berlin), day_window(last_day - 6 * DAY, berlin)
    assert sunday.end - monday.start == hours * HOUR
    make_order(conn, created_at=monday.start, amount=50)
    make_order(conn, created_at=monday.start - MOMENT, amount=40)
    make_order(conn, created_at=sunday.end, amount=5000)

    found = figures(start=sunday.start, end=sunday.end, zone="Europe/Berlin")

    # 50 in the week that just ended, 40 in the one before: (50 - 40) / 40.
    assert told(found["sales_delta_wow", ""]) == (0.25, None, "ok")


@pytest.mark.parametrize(
    ("zone", "day", "hours"),
    [
        ("America/Los_Angeles", date(2026, 3, 8), 23),
        ("America/Los_Angeles", date(2026, 11, 1), 25),
        ("America/Havana", date(2026, 3, 8), 23),  # begins at one
        ("America/Havana", date(2026, 11, 1), 25),  # its midnight comes twice
    ],
)
def test_a_day_counts_all_hours_that_the_shops_clocks_show(conn, figures, zone, day, hours):
    days = [day_window(day + n * DAY, ZoneInfo(zone)) for n in (-1, 0, 1)]
    for number in range(72 * 2 + 4):
        make_query(conn, created_at=days[0].start + number * HOUR / 2)

    counts = [
        figures(start=one.start, end=one.end, zone=zone)["agent_queries", ""].value for one in days
    ]

    assert counts == [48, 2 * hours, 48]


@pytest.mark.parametrize("day", [date(2026, 3, 8), date(2026, 11, 1)], ids=["forward", "back"])
def test_reports_are_of_the_shops_last_seven_days_when_clocks_change(conn, figures, day):
    """GA4 counts in days, so the week is seven of them, however long the last one was."""
    window = day_window(day, ZoneInfo("America/Havana"))
    for back in range(14):
        make_visits(conn, day - back * DAY, {"/": 10 if back < 7 else 20})

    found = figures(start=window.start, end=window.end, zone="America/Havana")

    assert told(found["traffic_change_wow", ""]) == (-0.5, None, "crit")


def test_thirty_days_are_held_against_the_thirty_before(conn, figures):
    for amount in (60, 30):
        make_order(conn, created_at=END - 30 * DAY, amount=amount)
    make_order(conn, created_at=END - 30 * DAY - MOMENT, amount=20)
    make_order(conn, created_at=END - 60 * DAY, amount=40)
    make_order(conn, created_at=END - 60 * DAY - MOMENT, amount=5000)
    make_order(conn, created_at=END - HOUR, amount=5000, is_test=True)

    found = figures()

    # 60 + 30 against 20 + 40: (90 - 60) / 60. An order is worth 90 / 2 = 45 against 60 / 2 = 30.
    assert told(found["revenue_change_30d", ""]) == (0.5, None, None)
    assert told(found["order_value_change_30d", SHOP]) == (0.5, None, None)
    assert float(found["order_value_change_30d", ""].inputs["order_value_30d"]) == 45


def test_thirty_days_without_anything_to_compare_say_why(conn, figures):
    make_order(conn, created_at=END - HOUR, shop="new.test")
    make_order(conn, created_at=END - 40 * DAY, shop="gone.test")
    make_order(conn, created_at=END - HOUR, shop="both.test", currency="USD")
    make_order(conn, created_at=END - 40 * DAY, shop="both.test", currency="EUR")

    found = figures()

    assert told(found["revenue_change_30d", "new.test"]) == (None, "no_baseline", None)
    assert told(found["order_value_change_30d", "new.test"]) == (None, "no_baseline", None)
    assert told(found["revenue_change_30d", "gone.test"]) == (-1, None, None)
    assert told(found["order_value_change_30d", "gone.test"]) == (None, "no_orders", None)
    assert told(found["revenue_change_30d", "both.test"]) == (None, "mixed_currencies", None)
    assert told(found["order_value_change_30d", "both.test"]) == (None, "mixed_currencies", None)
    assert told(found["returns_rate", "gone.test"]) == (None, "no_orders", None)


def test_a_refund_stands_for_a_return(conn, figures):
    for paid in ("PAID", "REFUNDED", "PARTIALLY_REFUNDED", "VOIDED", None):
        make_order(conn, created_at=END - DAY, paid=paid)
    make_order(conn, created_at=END - DAY, paid="REFUNDED", cancelled_at=END)
    make_order(conn, created_at=END - 31 * DAY, paid="REFUNDED")

    # Two of five: 0.4.
    assert told(figures()["returns_rate", ""]) == (0.4, None, None)


@pytest.mark.parametrize(
    ("waiting", "level"), [(0, "ok"), (1, "warn"), (5, "warn"), (6, "crit")], ids=str
)
def test_customers_who_wait_longer_than_a_quarter_of_an_hour_are_counted(
    conn, figures, waiting, level
):
    for _ in range(waiting):
        make_conversation(conn, created_at=END - DAY, waiting_since_at=END - HOUR / 4 - MOMENT)
    make_conversation(conn, created_at=END - DAY, waiting_since_at=END - HOUR / 4)
    make_conversation(conn, created_at=END - DAY, waiting_since_at=END - HOUR, status="snoozed")

    found = figures()["support_customers_waiting", ""]

    assert told(found) == (waiting, None, level)
    assert found.inputs == {"sla_open_conversations": waiting + 1}


@pytest.mark.parametrize(
    ("waited", "priority", "value", "level"),
    [
        (61 * HOUR / 60, None, 1, "crit"),
        (HOUR, None, 0, "ok"),
        (31 * HOUR / 60, "urgent", 1, "crit"),
        (31 * HOUR / 60, "low", 0, "ok"),
    ],
)
def test_who_waits_longer_than_promised_is_a_breach(conn, figures, waited, priority, value, level):
    make_conversation(conn, created_at=END - DAY, waiting_since_at=END - waited, priority=priority)

    assert told(figures()["sla_breach_rate", ""]) == (value, None, level)


def test_only_open_conversations_count_for_the_breach_rate(conn, figures):
    make_conversation(conn, created_at=END - DAY, waiting_since_at=END - 2 * HOUR)
    for _ in range(3):
        make_conversation(conn, created_at=END - DAY)
    for status in ("snoozed", "pending", "resolved"):
        make_conversation(
            conn, created_at=END - DAY, status=status, waiting_since_at=END - 2 * HOUR
        )

    # One of four: 0.25.
    assert told(figures()["sla_breach_rate", ""]) == (0.25, None, "warn")


def test_an_unanswered_conversation_is_late_once_it_is_older_than_the_target(conn, figures):
    minute = HOUR / 60
    for age, answered_after in (
        (10 * HOUR, 5 * minute),  # in time: exactly 5 minutes
        (10 * HOUR, 6 * minute),  # late
        (10 * HOUR, None),  # late: nobody answered in 10 hours
        (4 * minute, None),  # in time so far
    ):
        created_at = END - age
        reply = None if answered_after is None else created_at + answered_after
        make_conversation(conn, created_at=created_at, first_reply_at=reply)

    # Two of four: 0.5.
    assert told(figures()["first_response_breach_rate", ""]) == (0.5, None, "crit")


def test_a_page_that_lost_visitors_is_flagged_and_one_that_did_not_is_not_kept(conn, figures):
    for days in range(1, 15):
        this_week = days <= 7
        visits = {"/grown": 20, "/rare": 0 if this_week else 7, "/fell": 7 if this_week else 10}
        if not this_week:
            visits["/gone"] = 10
        make_visits(conn, (END - days * DAY).date(), visits)

    found = {key[1]: told(one) for key, one in figures().items() if key[0] == "traffic_change_wow"}

    # /fell: (49 - 70) / 70 = -0.3. /gone: (0 - 70) / 70. /rare had 49, below the floor of 50.
    # In all: this week 140 + 49 = 189, before 140 + 49 + 70 + 70 = 329; (189 - 329) / 329.
    assert found == {
        "": (pytest.approx(-140 / 329), None, "crit"),
        "/fell": (pytest.approx(-0.3), None, "warn"),
        "/gone": (-1, None, "crit"),
    }


def test_a_day_that_was_never_fetched_is_no_loss_of_visitors(conn, figures):
    for days in range(2, 15):
        make_visits(conn, (END - days * DAY).date(), {"/": 100})

    found = figures()

    assert told(found["traffic_change_wow", ""]) == (None, "missing_days", None)
    assert told(found["traffic_pages_falling", ""]) == (None, "missing_days", None)
    assert ("traffic_change_wow", "/") not in found


@pytest.mark.parametrize(
    ("pages", "level"), [(0, "ok"), (5, "ok"), (6, "warn"), (10, "warn"), (11, "crit")], ids=str
)
def test_pages_that_lost_a_fifth_are_counted(conn, figures, pages, level):
    for days in range(1, 15):
        fell = {f"/fell-{n}": 8 if days <= 7 else 10 for n in range(pages)}
        # 49 before is too little, and a loss of 1 in 70 is too small.
        others = {"/rare": 0 if days <= 7 else 7, "/held": 10 if days > 1 else 9}
        make_visits(conn, (END - days * DAY).date(), fell | others)

    assert told(figures()["traffic_pages_falling", ""]) == (pages, None, level)


@pytest.mark.parametrize(
    ("stock", "sold", "value", "level"),
    [
        (14, 28, 7, "warn"),  # 28 in 14 days are 2 a day; 14 / 2 = 7 days, and 7 is low
        (6, 28, 3, "crit"),
        (-4, 28, 0, "crit"),
    ],
)
def test_cover_is_stock_over_daily_sales(conn, figures, stock, sold, value, level):
    make_stock(conn, "AN6", stock)
    make_order(conn, created_at=END - DAY, sku="AN6", quantity=sold)

    assert told(figures()["inventory_cover", "AN6"]) == (value, None, level)


@pytest.mark.parametrize(
    ("items", "level"), [(5, "ok"), (6, "warn"), (10, "warn"), (11, "crit")], ids=str
)
def test_stock_of_four_weeks_or_less_is_a_risk(conn, figures, items, level):
    for number in range(items):
        # 14 sold in 14 days: 28 in stock last four weeks, 13 less than two.
        make_stock(conn, f"AN{number}", 28 if number else 13)
        make_order(conn, created_at=END - DAY, sku=f"AN{number}", quantity=14)
    for sku, stock, policy, sold in (
        ("enough", 29, "DENY", 14),
        ("endless", 0, "CONTINUE", 14),
        ("unsold", 0, "DENY", 0),
    ):
        make_stock(conn, sku, stock, policy)
        make_order(conn, created_at=END - DAY, sku=sku, quantity=sold)

    found = figures()["stock_items_at_risk", ""]

    assert told(found) == (items, None, level)
    assert found.inputs == {"inventory_variants": items + 2, "stock_items_scarce": 1}


def test_without_any_stock_there_is_no_risk_and_a_reason(conn, figures):
    make_stock(conn, "endless", 0, "CONTINUE")

    assert told(figures()["stock_items_at_risk", ""]) == (None, "no_stock", None)


def test_cover_that_is_fine_is_not_kept(conn, figures):
    make_stock(conn, "AN6", 15)
    make_order(conn, created_at=END - DAY, sku="AN6", quantity=28)

    assert not [key for key in figures() if key[0] == "inventory_cover"]


def test_stock_of_several_places_is_one_stock_and_endless_stock_is_none(conn, figures):
    for quantity in (3, 4, -9):
        make_stock(conn, "AN6", quantity)
    make_stock(conn, "AN8", 0, policy="CONTINUE")
    make_stock(conn, None, 0)
    make_order(conn, created_at=END - 14 * DAY, sku="AN6", quantity=14)
    make_order(conn, created_at=END - 14 * DAY - MOMENT, sku="AN6", quantity=500)
    make_order(conn, created_at=END - DAY, sku="AN8", quantity=14)
    make_order(conn, created_at=END - DAY, sku="AN6", quantity=99, cancelled_at=END)

    found = {key[1]: told(one) for key, one in figures().items() if key[0] == "inventory_cover"}

    # 3 + 4 + 0 in stock, 14 / 14 = 1 a day: 7 days.
    assert found == {"AN6": (7, None, "warn")}


def test_overdue_orders_are_a_share_of_those_in_hand(conn, figures):
    old, fresh = END - DAY - MOMENT, END - DAY
    make_order(conn, created_at=old)  # overdue
    make_order(conn, created_at=old, status=None)  # overdue: nobody knows
    make_order(conn, created_at=fresh)  # exactly 24 hours: in time
    make_order(conn, created_at=old, status="FULFILLED")
    make_order(conn, created_at=old, status="ON_HOLD")
    make_order(conn, created_at=old, status="SCHEDULED")
    make_order(conn, created_at=old, status="FULFILLMENT_NOT_REQUIRED")  # not in hand
    make_order(conn, created_at=old, closed_at=END)  # not in hand
    make_order(conn, created_at=old, cancelled_at=END)  # not in hand
    make_order(conn, created_at=old, is_test=True)  # not in hand

    found = figures()["fulfillment_issue_rate", ""]

    # 2 of 6.
    assert told(found) == (pytest.approx(2 / 6), None, "crit")
    assert found.inputs["fulfillment_held"] == 2


def test_a_shop_is_activated_by_an_ops_decision_in_the_same_week(conn, figures):
    for shop in ("a", "b", "c", "__aggregate__"):
        make_session(conn, shop, END - DAY)
        make_session(conn, shop, END - 2 * DAY)
    make_session(conn, "old", END - 7 * DAY - MOMENT)
    make_decision(conn, END - 7 * DAY, shop="a")
    make_decision(conn, END - DAY, shop="b", scope="build")
    make_decision(conn, END - 7 * DAY - MOMENT, shop="c")
    make_decision(conn, END - DAY, shop="old")

    # a of a, b and c.
    assert told(figures()["activation_rate", ""]) == (pytest.approx(1 / 3), None, None)


def test_a_breach_counts_once_and_ends_with_the_first_decision_after_it(conn, figures):
    minute = HOUR / 60
    at = END - DAY
    breaches = {str(number): at for number in range(4)}
    for refresh in range(3):
        make_breaches(conn, breaches, at + refresh * HOUR)
    make_decision(conn, at - minute, conversation="0")  # before the breach: says nothing
    make_decision(conn, at + 10 * minute, conversation="0")
    make_decision(conn, at + 99 * minute, conversation="0")
    make_decision(conn, at + 20 * minute, conversation="1")
    make_decision(conn, at + 100 * minute, conversation="2")
    make_decision(conn, at, conversation="3", scope="build")

    found = figures()

    # 10, 20 and 100 minutes: the median is 20, and 90 of 100 lie within 20 + 0.8 * (100 - 20) = 84.
    assert told(found["sla_resolution_p50", ""]) == (20, None, "ok")
    assert told(found["sla_resolution_p90", ""]) == (pytest.approx(84), None, None)
    assert found["sla_resolution_p50", ""].inputs == {
        "sla_breaches": 4,
        "sla_breaches_resolved": 3,
    }


def test_a_breach_at_an_instant_that_is_none_is_left_out(conn, figures):
    odd = {"1": "soon", "2": "2026-11-23T10:00:00", "3": "2026-13-01T10:00:00Z"}
    make_breaches(conn, odd | {"4": "2026-11-23T10:00:00.250Z"}, END - DAY)

    found = figures()["sla_resolution_p50", ""]

    assert found.inputs["sla_breaches"] == 1
    assert told(found) == (None, "nothing_resolved", None)


def test_a_sync_of_unknown_status_counts_for_neither_side(conn, figures):
    syncs = (("ok", "ops"), ("failed", "ops"), ("odd", "ops"), ("odd", "cx"))
    for number, (status, scope) in enumerate(syncs):
        conn.execute(
            text(
                "insert into decision_sync_event_logs (decision_id, status, scope, created_at)"
                " values (:id, :status, :scope, :at)"
            ),
            {"id": number, "status": status, "scope": scope, "at": END - HOUR},
        )

    found = figures()

    # One of the two whose end is known.
    assert told(found["decision_sync_failure_rate", "ops"]) == (0.5, None, None)
    assert told(found["decision_sync_failure_rate", "cx"]) == (None, "nothing_known", None)
    assert found["decision_syncs", ""].value == 4
