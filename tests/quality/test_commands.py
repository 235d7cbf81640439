"""`ocd quality …` as a person types it."""

from __future__ import annotations

import json


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


def test_a_file_is_asked_without_a_database(shell, tmp_path):
    path = tmp_path / "queries.jsonl"
    rows = [{"id": 1, "latency_ms": 5}, {"id": 2, "latency_ms": -5}]
    path.write_text("\n".join(map(json.dumps, rows)))
    asked = ("quality", "run", "--file", str(path), "--dataset", "agent_queries")

    words = shell(*asked).stdout
    failed = shell(*asked, "--fail-on", "error", code=1).stdout
    found = shell.json(*asked)
    whose = shell("quality", "run", "--file", str(path), code=2).stderr

    (latency,) = [
        one for one in found["findings"] if one["rule"] == "agent_queries.latency_ms.range"
    ]
    assert (latency["failed"], latency["sample_keys"]) == (1, [2])
    assert "agent_queries.latency_ms.range" in words
    assert "need other tables" in failed
    assert "--file needs --dataset" in whose
    assert not list(shell.home.glob("postgres*"))
