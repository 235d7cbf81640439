"""A kept scratch server: up until somebody drops it, closed to others, gone without a trace."""

from __future__ import annotations

import psycopg
import pytest

from ocd.core import scratch
from ocd.core.cluster import sweep_scratch
from ocd.core.errors import UnknownName


def test_a_kept_server_stays_until_it_is_dropped(tmp_path):
    home = tmp_path / ".ocd"
    url = scratch.start(home, "restore-1")
    try:
        sweep_scratch()  # what other processes' scratch servers are swept by

        with psycopg.connect(url) as conn:
            assert conn.execute("select 1").fetchone() == (1,)
        (kept,) = scratch.kept(home)
        assert (kept.name, kept.is_running) == ("restore-1", True)
        assert kept.url_file.read_text().strip() == url
        assert kept.url_file.stat().st_mode & 0o777 == 0o600
        base = (home / "scratch" / "restore-1").resolve()
    finally:
        scratch.drop(home, "restore-1")

    assert scratch.kept(home) == []
    assert not base.exists()
    assert list((home / "scratch").iterdir()) == []


def test_a_second_start_takes_the_place_of_the_first(tmp_path):
    home = tmp_path / ".ocd"
    first = scratch.start(home, "restore-1")
    try:
        with psycopg.connect(first, autocommit=True) as conn:
            conn.execute("create table left_over ()")
        second = scratch.start(home, "restore-1")
        with psycopg.connect(second) as conn:
            assert conn.execute("select to_regclass('left_over')").fetchone() == (None,)
    finally:
        scratch.drop(home, "restore-1")


def test_a_name_that_is_not_kept_is_told(tmp_path):
    for name in ("restore-9", "..", "../artifacts"):
        with pytest.raises(UnknownName):
            scratch.drop(tmp_path / ".ocd", name)
