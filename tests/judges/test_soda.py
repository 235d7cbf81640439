"""Soda counts the same failing rows as we do, in a table with faults of every kind."""

from __future__ import annotations

import psycopg
import pytest

from ocd.core.settings import PROJECT
from ocd.quality.look import look
from ocd.quality.policy import Mode
from tests.factories.clock import NOW
from tests.judges.thing import RULES, found_by, make

JUDGE = PROJECT / ".venv-soda" / "bin" / "python"
pytestmark = pytest.mark.skipif(not JUDGE.exists(), reason="set it up with: .ci/run quality")
#: Our rule → Soda's check, and what of its answer is the count.
SAME = {
    "id": ("id.missing", "missing_count"),
    "name": ("name.missing", "missing_count"),
    "range": ("score.invalid", "invalid_count"),
    "regex": ("email.invalid", "invalid_count"),
    "set": ("status.invalid", "invalid_count"),
    "reference": ("code.invalid", "invalid_count"),
    "length": ("body.invalid", "invalid_count"),
    "condition": (".failed_rows", "failed_rows_count"),
    "unique": ("email.duplicate", "duplicate_count"),
}


def test_the_same_rows_fail(db, conn, reader):
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        make(owner, 20_000)

    theirs = found_by(JUDGE, "soda_judge.py", {"url": db.owner_url, "schema": "judged"})
    tables = look(conn, RULES, run=None, now=NOW, mode=Mode.FULL, reader=reader)
    ours = {one.rule.id.partition(".")[2]: one for one in tables[0].outcomes}
    assert {name: ours[name].failed for name in SAME} == {
        name: theirs[check][count] for name, (check, count) in SAME.items()
    }
    assert sum(ours[name].failed for name in SAME) > 50
    assert ours["volume"].value == theirs[".row_count"]["dataset_rows_tested"]
    missing = theirs["is_safe.missing"]["missing_count"]
    assert ours["null_share"].value == pytest.approx(missing / 20_000)
