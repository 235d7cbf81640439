"""Tables to profile, analysed as autovacuum would."""

from __future__ import annotations

from collections.abc import Callable

import psycopg
import pytest
from sqlalchemy import Connection

from ocd.datasets.facts import Dataset
from ocd.quality.profile.columns import ColumnProfile
from ocd.quality.profile.measure import measure
from tests.factories.clock import NOW


@pytest.fixture
def analyse(db) -> Callable[[Dataset], None]:
    """Let the server take its statistics of a table."""

    def run(dataset: Dataset) -> None:
        with psycopg.connect(db.owner_url, autocommit=True) as owner:
            owner.execute(f"analyze {dataset.table}")

    return run


@pytest.fixture
def look(conn: Connection, analyse) -> Callable[[Dataset], dict[str, ColumnProfile]]:
    """Profile a table of what was written so far; returns its columns by name."""

    def run(dataset: Dataset) -> dict[str, ColumnProfile]:
        conn.commit()
        analyse(dataset)
        found = measure(conn, dataset, now=NOW)
        conn.rollback()
        return {one.name: one for one in found.columns}

    return run
