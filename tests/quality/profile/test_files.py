"""A file's profile is what its rows say, and tells no text."""

from __future__ import annotations

import sys

import duckdb
import pytest

from ocd.core.errors import ConfigError, ContractBroken
from ocd.datasets.mirrors import CHATWOOT_CONVERSATIONS
from ocd.quality.profile.files import profile_file

SECRET = "Ottoline"
ROWS = f"""
    select n as id, case when n % 10 = 0 then null else n % 7 end as score, '{SECRET} ' || n as contact_name,
      timestamptz '2026-11-01 00:00Z' + to_hours(cast(n as integer)) as created_at, 77000000 + n as conversation_id
    from range(1000) t(n)
"""
FORMATS = {".parquet": "parquet", ".csv": "csv, header", ".jsonl": "json"}


@pytest.fixture(params=FORMATS)
def path(request, tmp_path):
    """A file of each kind."""
    made = tmp_path / f"rows{request.param}"
    with duckdb.connect() as duck:
        duck.execute(f"copy ({ROWS}) to '{made}' (format {FORMATS[request.param]})")
    return made


def test_every_kind_of_file_gives_the_profile_of_its_rows(path):
    found = {one.name: one for one in profile_file(path)}

    assert {one.rows for one in found.values()} == {1_000}
    assert found["score"].null_share == pytest.approx(0.1)
    assert (found["score"].stats["min"], found["score"].stats["max"]) == ("0", "6")
    assert float(found["score"].stats["avg"]) == pytest.approx(3, abs=0.1)
    assert found["id"].distinct == pytest.approx(1_000, rel=0.1)
    assert found["created_at"].stats["min"].startswith("2026-11-01")


def test_no_text_is_told_and_what_the_facts_class_is_not_either(path):
    said = str(profile_file(path, CHATWOOT_CONVERSATIONS))

    assert SECRET not in said
    assert SECRET not in str(profile_file(path))
    assert "770000" not in said


@pytest.mark.parametrize("name", ["rows.parquet", "rows.jsonl", "rows.csv"])
def test_a_file_that_does_not_read_is_named_and_not_quoted(tmp_path, name):
    path = tmp_path / name
    path.write_text(f"{{'{SECRET}' \n\"")

    with pytest.raises(ContractBroken, match=name) as refused:
        profile_file(path)

    assert SECRET not in str(refused.value)


def test_a_csv_has_all_its_lines(tmp_path):
    path = tmp_path / "rows.csv"
    path.write_text("name,number\na,1\n#b,2\nc,3\n#d,4\n")

    names, numbers = profile_file(path)

    assert (numbers.rows, numbers.stats["max"]) == (4, "4")
    assert names.null_share == 0


def test_an_unknown_kind_of_file_says_which_are_known(tmp_path):
    with pytest.raises(ConfigError, match="parquet"):
        profile_file(tmp_path / "rows.xlsx")


def test_without_the_extra_it_says_what_to_install(path, monkeypatch):
    monkeypatch.setitem(sys.modules, "duckdb", None)

    with pytest.raises(ConfigError, match=r"ocd\[duckdb\]"):
        profile_file(path)
