"""`ocd quality …` as a person types it."""

from __future__ import annotations


def test_findings_are_results_unless_somebody_asks(shell):
    shell("seed", "--rows", "600", "--faults")

    as_result = shell("quality", "run", "--dataset", "agent_queries")
    asked = shell("quality", "run", "--dataset", "agent_queries", "--fail-on", "error", code=1)
    clean = shell("quality", "run", "--dataset", "facts", "--fail-on", "info")
    rows = shell.json("quality", "history", "agent_queries.latency_ms.range")
    words = shell("quality", "history", "--dataset", "agent_queries").stdout
    shown = shell("quality", "explain", "--rule", "agent_queries.latency_ms.range").stdout
    unknown = shell("quality", "run", "--dataset", "agent_querys", code=2).stderr

    assert "agent_queries.latency_ms.range" in as_result.stdout
    assert "with findings" in asked.stdout
    assert "nothing found" in clean.stdout
    assert [one["status"] for one in rows] == ["failed", "failed"]
    assert "failed" in words
    assert "BETWEEN" in shown or ">= 0" in shown
    assert "did you mean 'agent_queries'" in unknown
