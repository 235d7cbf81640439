"""Views, functions and rights are files; a downgrade brings the version before back."""

from __future__ import annotations

import pytest
from alembic.migration import MigrationContext
from alembic.operations import Operations
from sqlalchemy import text

from migrations import replaceable
from ocd.core.settings import PROJECT

FILES = sorted((PROJECT / "migrations" / "sql").rglob("*.sql"))
VERSIONS = PROJECT / "migrations" / "versions"


@pytest.fixture
def two_versions(tmp_path, monkeypatch):
    """An object with two versions: a view that says 1, later 2."""
    (tmp_path / "views").mkdir()
    for revision, number in (("0001", 1), ("0002", 2)):
        (tmp_path / "views" / f"answer.{revision}.sql").write_text(
            f"-- The answer.\ncreate view public.answer as select {number} as is, 'a:b' as said;\n"
            "-- down\ndrop view public.answer;\n"
        )
    monkeypatch.setattr(replaceable, "SQL", tmp_path)


@pytest.fixture
def owner(db):
    from sqlalchemy import NullPool, create_engine

    from ocd.core.db import sqlalchemy_url

    engine = create_engine(sqlalchemy_url(db.owner_url), poolclass=NullPool)
    with engine.connect() as connection, Operations.context(MigrationContext.configure(connection)):
        yield connection
    engine.dispose()


def answer(conn):
    return conn.execute(text("select * from public.answer")).one_or_none()


def test_a_new_version_takes_the_place_of_the_one_before(owner, two_versions):
    replaceable.put("0001", "views/answer")

    replaceable.put("0002", "views/answer")

    assert answer(owner) == (2, "a:b")


def test_taking_a_version_back_brings_the_one_before(owner, two_versions):
    replaceable.put("0001", "views/answer")
    replaceable.put("0002", "views/answer")

    replaceable.take_back("0002", "views/answer")

    assert answer(owner) == (1, "a:b")


def test_taking_the_first_version_back_leaves_nothing(owner, two_versions):
    replaceable.put("0001", "views/answer")

    replaceable.take_back("0001", "views/answer")

    assert owner.execute(text("select to_regclass('public.answer')")).scalar() is None


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_is_put_by_the_revision_in_its_name(path):
    revision = path.suffixes[0][1:]
    (version,) = VERSIONS.glob(f"{revision}_*.py")
    name = path.name.split(".")[0]

    said = version.read_text(encoding="utf-8")

    assert name in said
    assert path.parent.name + "/" in said


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name)
def test_every_file_says_what_it_is_and_how_it_goes_away(path):
    written = path.read_text(encoding="utf-8")

    assert written.startswith("-- ")
    assert written.count("\n-- down\n") == 1
