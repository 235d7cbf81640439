"""Whatever knows slow statements says the same of them, and none lets a value through."""

from __future__ import annotations

from datetime import UTC, datetime

import psycopg
import pytest
from sqlalchemy import text

from ocd.core.errors import ConfigError
from ocd.database.slow import find
from ocd.database.slow.notes import Notes
from ocd.database.slow.serverlog import ServerLog
from ocd.database.slow.statistics import Statistics
from tests.database.slow.conftest import NAMES

LONG_AGO = datetime(2020, 1, 1, tzinfo=UTC)
LATER = datetime(2126, 1, 1, tzinfo=UTC)


def groups(source, *, since=LONG_AGO, over_ms=50.0):
    return find.slowest(source.read(since=since, slower_than_ms=over_ms), top=50)


def test_what_differs_in_values_only_is_one_group(planted):
    conn, name = planted

    found = {one.statement: one for one in groups(find.source(conn, name))}

    assert found["select $1, pg_sleep($2)"].calls == 3
    assert found["select $1, pg_sleep($2)"].total_ms >= 3 * 60
    assert 60 <= found["select $1, pg_sleep($2)"].mean_ms <= found["select $1, pg_sleep($2)"].max_ms
    assert found["select pg_sleep($1)"].calls == 1


def test_no_value_comes_through(planted):
    conn, name = planted

    text_of_all = str(groups(find.source(conn, name), over_ms=0))

    assert not any(value in text_of_all for value in NAMES)


def test_what_is_fast_is_left_out(planted):
    conn, name = planted

    assert groups(find.source(conn, name), over_ms=60_000) == []


def test_the_best_source_is_taken_by_itself(planted):
    conn, name = planted
    kinds = {"statistics": Statistics, "log": ServerLog, "notes": Notes}

    assert isinstance(find.source(conn), kinds[name])


def test_most_time_in_all_comes_first_and_the_rest_is_left_out(planted):
    conn, name = planted

    (first,) = find.slowest(find.source(conn, name).read(since=LONG_AGO, slower_than_ms=50), top=1)

    assert first.statement == "select $1, pg_sleep($2)"


@pytest.mark.parametrize("wanted", ["statistics", "log"])
def test_a_source_that_is_not_there_is_named(conn, wanted):
    with pytest.raises(ConfigError, match=f"--source {wanted}"):
        find.source(conn, wanted)


def test_only_what_came_later_is_read_from_log_and_notes(planted):
    conn, name = planted

    late = groups(find.source(conn, name), since=LATER)

    assert (late == []) is (name != "statistics")


#: The columns of the extension's view that are read, as another role's statement shows in it.
HIDDEN = """
create view public.pg_stat_statements as
select '<insufficient privilege>'::text as query, 10::oid as userid, oid as dbid, 5::bigint as calls,
       500.0::float8 as total_exec_time, 300.0::float8 as max_exec_time
from pg_database where datname = current_database()
"""


def test_a_statement_whose_text_is_hidden_is_counted(db):
    """A login without pg_read_all_stats sees figures of others, but not what they sent."""
    with psycopg.connect(db.owner_url, autocommit=True) as owner:
        owner.execute(HIDDEN)
        owner.execute("grant select on public.pg_stat_statements to ocd_worker")
    with db.engine.connect() as conn:
        source = find.source(conn, "statistics")
        found = groups(source)

    assert (found, source.hidden, source.known_since) == ([], 1, None)


LINES = b"""half a line of an earlier one"}
{"timestamp":"2026-11-24 01:00:00.000 UTC","user":"ann","dbname":"%(db)s","message":"duration: 300.5 ms  statement: select 1"}
{"timestamp":"2026-11-24 01:00:01.000 CET","dbname":"%(db)s","message":"duration: 400 ms  execute s1: select 2, 3"}
{"timestamp":"2026-11-24 01:00:02.000 UTC","dbname":"%(db)s","message":"duration: 500 ms  bind <unnamed>: select 4"}
{"timestamp":"2026-11-24 01:00:03.000 UTC","dbname":"elsewhere","message":"duration: 600 ms  statement: select 5"}
["no entry"]
{"timestamp":"2026-11-24 01:00:04.000 UTC","dbname":"%(db)s","message":"connection received"}
{"timestamp":"2026-11-24 01:0"""


def test_a_log_file_is_read_whatever_its_ends_lost(conn, tmp_path):
    name = conn.execute(text("select current_database()")).scalar_one().encode()
    (tmp_path / "log.json").write_bytes(LINES.replace(b"%(db)s", name))

    source = ServerLog.of_file(tmp_path / "log.json", conn)

    assert {(one.statement, one.max_ms, one.role) for one in groups(source)} == {
        ("select $1", 300.5, "ann"),
        ("select $1, $2", 400.0, None),
    }
    assert source.known_since == datetime(2026, 11, 24, 1, tzinfo=UTC)


def test_a_log_file_that_is_not_there_is_named(conn, tmp_path):
    with pytest.raises(ConfigError, match="gone"):
        ServerLog.of_file(tmp_path / "gone.json", conn)
