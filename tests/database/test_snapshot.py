"""The schema of a day, as a file that is found again and compared with the next."""

from __future__ import annotations

import psycopg
import pytest

from ocd.database import catalog
from ocd.database.snapshot import snapshot


@pytest.fixture
def take(conn, store, keeper_for, start_run):
    def deed(window):
        run = start_run("database.snapshot_schema", window)
        return snapshot(conn, run=run, store=store, keeper=keeper_for(run), now=run.now)

    return deed


def test_the_file_holds_the_schema_under_a_dated_name(store, take):
    report = take("2026-11-19")

    assert store.path(report.artifact).read_text().splitlines() == catalog.locked()
    assert report.artifact.startswith("schemas/schema-20")
    assert (report.previous, report.added, report.removed) == (None, (), ())


def test_what_changed_since_the_last_one_is_said(db, take):
    first = take("2026-11-19")
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute("alter table public.facts add column note text")
        owner.execute("drop index public.facts_project_idx")

    second = take("2026-11-23")

    assert second.previous == first.artifact
    assert second.added == ("column public.facts.note text",)
    assert [line.split(" ")[0] for line in second.removed] == ["index"]
    assert second.sha256 != first.sha256


def test_the_same_schema_gives_the_same_hash(take):
    first = take("2026-11-19")

    second = take("2026-11-23")

    assert (second.sha256, second.added, second.removed) == (first.sha256, (), ())


def test_a_snapshot_whose_file_is_gone_is_passed_over(store, take):
    first, second = take("2026-11-19"), take("2026-11-23")
    store.delete(second.artifact)

    assert take("2026-11-26").previous == first.artifact
