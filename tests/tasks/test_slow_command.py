"""`ocd db slow`, as a person types it."""

from __future__ import annotations

import json

import pytest

LINE = {
    "timestamp": "2026-11-24 01:00:00.000 UTC",
    "dbname": "ocd",
    "user": "ocd_worker",
    "message": "duration: 812.4 ms  statement: select id from public.agent_queries where updated_at > '2026-11-20' and query <> 'Where is Ann''s order?'",
}


@pytest.fixture
def log(tmp_path):
    """A server's log in which one statement was slow."""
    path = tmp_path / "postgresql.json"
    path.write_text(json.dumps(LINE) + "\n", encoding="utf-8")
    return str(path)


def test_a_statement_of_the_servers_log_is_reported_with_what_helps(shell, log):
    shell("seed", "--rows", "20000")

    found = shell.json("db", "slow", "--log", log, "--since", "2026-11-01")
    page = shell("db", "slow", "--log", log, "--since", "2026-11-01").stdout

    (one,) = found["statements"]
    assert (
        one["statement"]
        == "select id from public.agent_queries where updated_at > $1 and query <> $2"
    )
    assert one["proposal"]["index"] == "create index on public.agent_queries (updated_at)"
    assert f"Helps: `{one['proposal']['index']}`" in page
    assert "Seq Scan on agent_queries" in page
    assert "Ann" not in page


def test_on_the_embedded_server_the_own_notes_are_read(shell):
    found = shell.json("db", "slow", "--rows", "0")

    assert (found["source"], found["statements"]) == ("notes of our own jobs", [])


def test_a_wrong_argument_says_what_is_right(shell):
    assert "expected 2026-11-23" in shell("db", "slow", "--since", "soon", code=2).stderr
    assert "statistics" in shell("db", "slow", "--source", "guess", code=2).stderr
    assert "pg_stat" in shell("db", "slow", "--source", "statistics", code=2).stderr


def test_help_shows_an_example(shell):
    assert "Example: ocd db slow --since 24h" in shell("db", "slow", "--help").stdout
