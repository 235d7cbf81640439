"""Flower as people see it, in a headless Chromium."""

from __future__ import annotations

import pytest

from ocd.datasets.registry import DATASETS
from tests.pages.conftest import CHROMIUM

pytestmark = [
    pytest.mark.pages,
    pytest.mark.skipif(CHROMIUM is None, reason="no Chromium: apt-get install chromium"),
]


@pytest.fixture
def look(night, dom):
    """Return a page's text after its scripts ran."""
    password = (night.home / "secrets" / "flower").read_text().strip()
    port = (night.home / "flower.port").read_text().strip()
    return lambda path: dom(f"http://ocd:{password}@127.0.0.1:{port}{path}")


def test_the_task_list_names_job_window_and_outcome(look):
    page = look("/tasks")

    assert "lifecycle.purge" in page
    # The first page of the list shows the newest runs, whichever tables they are of.
    assert any(dataset.name in page for dataset in DATASETS)
    assert "deleted and" in page


def test_a_task_page_tells_the_run_and_its_result(look, night):
    run = night.json("runs", "--job", "lifecycle.backup")[0]

    page = look(f"/task/run-{run['id']}-1")

    assert "lifecycle.backup" in page
    assert f"run {run['id']} done" in page
