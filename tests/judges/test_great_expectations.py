"""Great Expectations counts the same failing rows as we do, in a table with faults of every kind."""

from __future__ import annotations

from datetime import timedelta

import psycopg
import pytest
from sqlalchemy import make_url

from ocd.core.settings import PROJECT
from ocd.quality.look import look
from ocd.quality.policy import Mode
from tests.factories.clock import NOW
from tests.judges.thing import RULES, found_by, make

JUDGE = PROJECT / ".venv-quality" / "bin" / "python"
pytestmark = pytest.mark.skipif(not JUDGE.exists(), reason="set it up with: .ci/run quality")


def test_the_same_rows_fail(db, conn, reader):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        make(owner, 20_000)
        repeated = owner.execute("""
            select sum(n) from (select count(*) n from judged.thing group by email having count(*) > 1) again
        """).fetchone()
    asked = {
        "url": make_url(db.owner_url).set(drivername="postgresql+psycopg2"),
        "schema": "judged",
        "oldest": (NOW - timedelta(days=9000)).isoformat(),
        "newest": (NOW + timedelta(days=9000)).isoformat(),
    }
    asked["url"] = asked["url"].render_as_string(hide_password=False)

    theirs = found_by(JUDGE, "great_expectations_judge.py", asked)
    tables = look(conn, RULES, run=None, now=NOW, mode=Mode.FULL, reader=reader)
    ours = {one.rule.id.partition(".")[2]: one for one in tables[0].outcomes}
    rows_of_both = set(theirs) - {"freshness", "volume", "unique", "null_share"}
    assert {name: ours[name].failed for name in rows_of_both} == {
        name: int(theirs[name]) for name in rows_of_both
    }
    assert sum(ours[name].failed for name in rows_of_both) > 50
    assert ours["volume"].value == theirs["volume"]
    assert ours["null_share"].value == pytest.approx(theirs["null_share"] / 20_000)
    # It counts every row of a value that is there twice, we those that repeat an earlier one.
    assert theirs["unique"] == repeated[0]
    assert 0 < ours["unique"].failed < theirs["unique"]
