"""`ocd quality profile | suggest`, as a person types them."""

from __future__ import annotations

import psycopg
import pytest
import yaml

from ocd.core.embedded import Postgres
from tests.shell import fresh_home


@pytest.fixture(scope="module")
def desk():
    """A home with sample rows, analysed, and a worker."""
    with fresh_home() as made:
        made.keep_up()
        made("seed", "--rows", "3000")
        with psycopg.connect(Postgres(made.home).url("owner"), autocommit=True) as owner:
            owner.execute("analyze")
        yield made


def test_a_table_is_profiled_on_the_spot(desk):
    found = desk.json("quality", "profile", "agent_queries")
    page = desk("quality", "profile", "agent_queries").stdout

    latency = next(one for one in found["columns"] if one["name"] == "latency_ms")
    assert latency["rows"] == found["rows"] == 1_800
    assert latency["stats"]["min"] >= 0
    assert f"{found['rows']:,} rows" in page
    assert "latency_ms" in page


def test_rules_are_printed_and_written_only_where_asked(desk, tmp_path):
    target = tmp_path / "accepted.yml"

    printed = desk("quality", "suggest", "agent_queries").stdout
    assert not target.exists()
    desk("quality", "suggest", "agent_queries", "--rule", "agent.known", "--accept", str(target))

    (table,) = yaml.safe_load(printed)["schema"]
    assert {one["name"] for one in table["properties"]} >= {"agent", "latency_ms"}
    (accepted,) = yaml.safe_load(target.read_text())["schema"]
    (agent,) = accepted["properties"]
    assert "quality" not in accepted
    assert agent["quality"][0]["id"] == "known"


def test_a_file_that_exists_is_not_written_over(desk, tmp_path):
    target = tmp_path / "mine.yml"
    target.write_text("mine")

    said = desk("quality", "suggest", "agent_queries", "--accept", str(target), code=2).stderr

    assert "name a new file" in said
    assert target.read_text() == "mine"


def test_wrong_arguments_say_what_is_right(desk, tmp_path):
    assert "agent_queries" in desk("quality", "profile", "agent_querys", code=2).stderr
    assert "No such file" in desk("quality", "profile", str(tmp_path / "no.csv"), code=2).stderr
    said = desk("quality", "suggest", "agent_queries", "--rule", "agent.knwn", code=2).stderr
    assert "did you mean 'agent.known'" in said
    assert (
        "for files"
        in desk("quality", "profile", "agent_queries", "--dataset", "facts", code=2).stderr
    )


def test_a_file_is_profiled_without_a_database(desk, tmp_path):
    path = tmp_path / "orders.csv"
    path.write_text("id,total\n1,10.5\n2,\n")

    found = desk.json("quality", "profile", str(path))

    assert [one["name"] for one in found["columns"]] == ["id", "total"]
    assert found["columns"][1]["null_share"] == 0.5


def test_the_job_keeps_the_profiles_of_all_tables(desk):
    (run,) = desk.json("run", "quality.profile")

    assert run["state"] == "done"
    assert run["evidence"]["tables"] > 20
    assert desk.json("quality", "profile", "agent_queries")["drifts"] == []


def test_what_each_day_brought_is_counted_and_shown(desk):
    assert "nothing is kept" in desk("quality", "completeness", "agent_queries").stdout
    (run,) = desk.json("run", "quality.completeness")

    (day,) = desk.json("quality", "completeness", "agent_queries")

    assert (run["state"], day["day"]) == ("done", run["window"])
    assert day["seen"] > 0
    assert day["expected"] is None
    assert f"{day['seen']:,}" in desk("quality", "completeness", "agent_queries").stdout


def test_tables_are_held_against_each_other_and_the_past_is_shown(desk):
    history = ("quality", "consistency", "history")
    assert "nothing is kept" in desk(*history, "--check", "lines.order").stdout
    (run,) = desk.json("run", "quality.consistency")

    found = {one["check_name"]: one for one in desk.json(*history)}
    page = desk(*history, "--check", "lines.order").stdout

    assert run["state"] == "done"
    assert found["lines.order"]["checked"] > 0
    assert found["lines.order"]["broken"] == found["messages.conversation"]["broken"] == 0
    assert "lines.order" in page
    assert (
        "did you mean"
        in desk("quality", "consistency", "history", "--check", "lines.ordr", code=2).stderr
    )


def test_a_table_is_compared_with_a_copy_of_it(desk, tmp_path):
    url_file = tmp_path / "copy.url"
    url = Postgres(desk.home).url("owner")
    url_file.write_text(url)
    with psycopg.connect(url, autocommit=True) as owner:
        owner.execute("create table public.restored as select * from agent_queries")
        owner.execute(
            "update public.restored set latency_ms = -1 where id = (select max(id) from restored)"
        )
        owner.execute("alter table public.restored add primary key (id)")

    diff = ("quality", "consistency", "diff", "agent_queries")
    same = desk(*diff, "--copy-url-file", str(url_file)).stdout
    other = desk(*diff, "--copy-url-file", str(url_file), "--copy", "public.restored", code=1)
    found = desk.json("quality", "consistency", "history", "--check", "copy.agent_queries")

    assert "equal; 1 ranges hashed" in same
    assert "changed: 1" in other.stdout
    assert [one["broken"] for one in found] == [1, 0]
    assert "where the copy is" in desk(*diff, code=2).stderr
    for broken in (b"not a url", b"\xff\xfe", b""):
        url_file.write_bytes(broken)
        refused = desk(*diff, "--copy-url-file", str(url_file), code=2).stderr
        assert "expected a URL" in refused
