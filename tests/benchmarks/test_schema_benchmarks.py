"""The benchmarks of the schema work, at sizes at which their figures mean nothing, and can say no."""

from __future__ import annotations

import pytest

from benchmarks import metrics, migrations


@pytest.fixture(scope="module")
def measured():
    return metrics.measure(rows=2_000, days=4)


def test_a_nights_rollup_and_every_tile_are_timed_at_once_and_three_times_the_rows(measured):
    figures = {"rollup_ms", "rollup_ms_at_3x", "rollup_ratio"}
    figures |= {f"{tile}_p95_ms{size}" for tile in metrics.TILES for size in ("", "_at_3x")}

    assert measured.keys() == {"rows", "rows_per_day"} | figures
    assert all(measured[name] > 0 for name in figures)


@pytest.mark.parametrize(
    ("changed", "is_held"),
    [
        ({}, True),
        ({"rollup_ratio": 1.31}, False),
        ({"metric_facts_p95_ms_at_3x": 501.0}, False),
    ],
    ids=["well", "a rollup that grows", "a slow tile"],
)
def test_a_figure_that_misses_its_gate_is_told(changed, is_held):
    good = {"rollup_ratio": 1.3, "metric_facts_p95_ms": 1.0, "metric_facts_p95_ms_at_3x": 500.0}

    assert metrics.is_held(good | changed) is is_held


def test_the_way_up_and_down_is_timed_and_leaves_the_same_schema():
    took, is_same = migrations.ways()

    assert is_same
    assert list(took) == ["up", "down", "up_again"]
    assert min(took.values()) > 0


@pytest.mark.parametrize(
    ("path", "passed"),
    [("tests/core/test_errors.py::test_nowhere", False), ("tests/core/test_errors.py", True)],
    ids=["fail", "pass"],
)
def test_tests_are_timed_and_judged(path, passed):
    took, did_pass = migrations.run_tests(path)

    assert did_pass is passed
    assert took > 0
