"""The docs name what exists: every job, dataset and error has its line, every link a target."""

from __future__ import annotations

import re

import pytest

from ocd.core.settings import PROJECT
from ocd.datasets.registry import DATASETS
from tasks.cli import COMMANDS
from tasks.registry import JOBS

PAGES = [*PROJECT.glob("*.md"), *(PROJECT / "docs").rglob("*.md")]


def reference(name: str) -> str:
    return (PROJECT / "docs" / "reference" / name).read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_link_has_a_target(page):
    links = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text(encoding="utf-8"))

    assert [link for link in links if not (page.parent / link).exists()] == []


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(PROJECT)))
def test_every_command_in_a_page_exists(page):
    named = re.findall(r"^\s*(?:\$ )?ocd ([a-z]+)", page.read_text(encoding="utf-8"), re.MULTILINE)

    assert set(named) <= set(COMMANDS)


def test_every_job_dataset_and_command_is_in_the_reference():
    assert all(f"`{name}`" in reference("jobs.md") for name in JOBS)
    assert all(f"## {dataset.name}" in reference("datasets.md") for dataset in DATASETS)
    assert all(f"## ocd {name}" in reference("commands.md") for name in COMMANDS)


def test_the_readme_is_short_and_shows_code_early():
    lines = (PROJECT / "README.md").read_text(encoding="utf-8").splitlines()

    assert len(lines) <= 120
    assert next(number for number, line in enumerate(lines, 1) if line.startswith("```")) < 30


def test_a_decision_page_is_short():
    pages = (PROJECT / "docs" / "explanation" / "decisions").glob("*.md")

    assert [page.name for page in pages if len(page.read_text().splitlines()) > 40] == []
