"""Plans, applies and reverts in runs of their own."""

from __future__ import annotations

import itertools

import pytest
from sqlalchemy import text

from ocd.quality.cleanse import apply as cleansing
from ocd.quality.cleanse import plan as plans
from ocd.quality.cleanse import revert as reverting
from ocd.quality.cleanse.fixes import chosen

_numbers = itertools.count()


@pytest.fixture
def plan(conn):
    """Plan and keep: plan(dataset, *fix ids) -> CleansingPlan."""

    def deed(dataset, *ids):
        conn.commit()
        found = plans.plan(conn, chosen(dataset, ids))
        if found.rows:
            plans.keep(conn, found, planned_by="mara")
        conn.commit()
        return found

    return deed


@pytest.fixture
def new_run(start_run):
    def deed(job="quality.cleanse"):
        return start_run(job, subject={"plan": f"n{next(_numbers)}"})

    return deed


@pytest.fixture
def apply(conn, new_run):
    """Apply a plan by its hash in a run; returns the report and the run."""

    def deed(plan_hash, **how):
        run = new_run()
        return cleansing.apply(conn, plan_hash, run=run, **how), run

    return deed


@pytest.fixture
def revert(conn, new_run):
    def deed(of_run, **how):
        return reverting.revert(conn, of_run, run=new_run("quality.revert_cleansing"), **how)

    return deed


@pytest.fixture
def rows_of(conn):
    """Every value of a table as text, by key; columns that a trigger keeps may be left out."""

    def deed(dataset, *but):
        conn.commit()
        names = [one.name for one in dataset.columns if one.name not in but]
        listed = ", ".join(f"{one}::text" for one in names)
        found = conn.execute(
            text(f"select {listed} from {dataset.table} order by {dataset.key}")
        ).all()
        conn.rollback()
        return [tuple(row) for row in found]

    return deed
