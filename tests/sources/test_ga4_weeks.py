"""The view of two weeks says what the key figure says, and when it cannot say anything."""

from __future__ import annotations

from datetime import timedelta

import pytest
from sqlalchemy import text

from ocd.analytics.kpis.files import load
from ocd.analytics.kpis.measure import measure
from tests.factories.clock import NOW
from tests.factories.desk import make_visits

END = NOW.replace(hour=0, minute=0)
DAY = timedelta(days=1)
#: Page → sessions on each day of the week before, and of this week.
WEEKS = {"/same": (20, 20), "/lost": (40, 20), "/gone": (30, 0), "/won": (20, 33), "": (50, 35)}


def fill(conn, days=range(1, 15)):
    for back in days:
        make_visits(
            conn,
            (END - back * DAY).date(),
            {page: now if back <= 7 else before for page, (before, now) in WEEKS.items()},
        )


def weeks(conn):
    found = conn.execute(text("select * from landing.landing_page_weeks")).mappings()
    return {row["landing_page"]: row for row in found}


def test_the_view_agrees_with_the_key_figure(conn):
    fill(conn)

    found = weeks(conn)
    figures = measure(conn, load(), start=END - DAY, end=END)

    kpi = {
        one.scope: one.value for one in figures if one.metric == "traffic_change_wow" and one.scope
    }
    assert kpi, "some pages lost visitors"
    assert {page: pytest.approx(float(found[page]["change"])) for page in kpi} == {
        page: float(value) for page, value in kpi.items()
    }
    assert kpi.keys() == {page for page, row in found.items() if row["change"] <= -0.2}


def test_a_week_is_seven_days_before_and_after(conn):
    fill(conn)

    found = weeks(conn)

    assert {page: (row["sessions_before"], row["sessions"]) for page, row in found.items()} == {
        page or "(not set)": (7 * before, 7 * now) for page, (before, now) in WEEKS.items()
    }
    assert {row["as_of"] for row in found.values()} == {END.date()}
    assert {row["origin"] for row in found.values()} == {"recorded"}


@pytest.mark.parametrize("missing", [2, 7, 8, 14])
def test_a_day_that_is_missing_is_no_loss(conn, missing):
    fill(conn, [back for back in range(1, 15) if back != missing])

    assert {row["change"] for row in weeks(conn).values()} == {None}


def test_older_days_do_not_count(conn):
    fill(conn, range(1, 30))

    assert weeks(conn)["/lost"]["sessions_before"] == 7 * 40


def test_data_that_may_change_is_said_to(conn):
    fill(conn)
    conn.execute(
        text(
            "update landing.ga_partition set is_provisional = true, has_other_row = true where day = :day"
        ),
        {"day": (END - DAY).date()},
    )

    assert {(row["is_provisional"], row["is_incomplete"]) for row in weeks(conn).values()} == {
        (True, True)
    }
