"""The night, by its command, on real servers with a real worker and Flower."""

from __future__ import annotations

import base64
import json
import stat
import urllib.request

import pytest

JOBS = {
    "lifecycle.backup",
    "lifecycle.verify",
    "lifecycle.purge",
    "lifecycle.rotate",
    "sources.refresh_ga",
    "sources.snapshot_sitemap",
    "quality.check",
    "warehouse.rollup",
}


def flower(night, path):
    password = (night.home / "secrets" / "flower").read_text().strip()
    port = (night.home / "flower.port").read_text().strip()
    token = base64.b64encode(f"ocd:{password}".encode()).decode()
    request = urllib.request.Request(
        f"http://127.0.0.1:{port}{path}", headers={"Authorization": f"Basic {token}"}
    )
    with urllib.request.urlopen(request, timeout=10) as answer:
        return answer.read().decode()


def test_all_seven_jobs_end_done(night):
    runs = night.json("runs")

    assert {run["job"] for run in runs} == JOBS
    assert {run["state"] for run in runs} == {"done"}


def test_every_run_reports_rows_and_evidence(night):
    assert all(run["rows"] is not None and run["evidence"]["summary"] for run in night.json("runs"))


def test_a_second_night_does_nothing_twice_and_says_so(night):
    before = {run["id"]: run["generation"] for run in night.json("runs")}

    said = night("night").stderr

    assert "nothing runs twice" in said
    assert {run["id"]: run["generation"] for run in night.json("runs")} == before


def test_flower_shows_each_run_readably(night):
    tasks = json.loads(flower(night, "/api/tasks"))

    texts = {task["name"]: f"{task['kwargs']} {task['result']}" for task in tasks.values()}
    assert set(texts) >= JOBS
    assert "2 tables" not in texts["lifecycle.purge"]
    assert "2026-" in texts["lifecycle.purge"]
    assert "deleted and archived" in texts["lifecycle.purge"]


def test_flower_shows_no_password(night):
    secrets = [path.read_text().strip() for path in (night.home / "secrets").iterdir()]

    page = flower(night, "/api/tasks")

    assert not any(secret in page for secret in secrets)


def test_flower_asks_for_a_login(night):
    port = (night.home / "flower.port").read_text().strip()

    with pytest.raises(urllib.error.HTTPError) as refused:
        urllib.request.urlopen(f"http://127.0.0.1:{port}/tasks", timeout=10)

    assert refused.value.code == 401
    refused.value.close()


def test_artifacts_are_private_and_secrets_too(night):
    files = [
        path
        for folder in ("artifacts", "secrets")
        for path in (night.home / folder).rglob("*")
        if path.is_file()
    ]

    assert files
    assert {stat.S_IMODE(path.stat().st_mode) for path in files} == {0o600}


def test_planted_faults_are_found_and_the_run_is_done(night):
    (run,) = night.json("runs", "--job", "quality.check")

    found = {finding["rule"] for finding in run["evidence"]["findings"]}
    assert {
        "agent_approvals.approved_by.named",
        "agent_feedback.rubric.clarity",
        "agent_queries.latency_ms.range",
    } <= found


def test_show_tells_one_run_in_words(night):
    run = night.json("runs", "--job", "lifecycle.backup")[0]

    said = night("show", str(run["id"])).stdout

    assert "It ended done" in said
    assert "manifest.json" in said


def test_logs_are_kept_with_the_run(night):
    run = night.json("runs", "--job", "lifecycle.backup")[0]

    assert "backed_up" in night("logs", str(run["id"])).stdout


def test_evidence_is_a_markdown_table(night):
    said = night("evidence", "--since", "1h", "--md").stdout

    assert said.startswith("| time (UTC) | command | outcome | files |")
    assert "ocd run lifecycle.purge --dataset agent_queries" in said


def test_a_dry_run_changes_nothing_and_is_its_own_run(night):
    before = len(night.json("runs", "--job", "lifecycle.purge"))

    (run,) = night.json("run", "lifecycle.purge", "--dataset", "agent_queries", "--dry-run")

    assert (run["kind"], run["state"], run["evidence"]["is_dry"]) == ("dry", "done", True)
    assert len(night.json("runs", "--job", "lifecycle.purge")) == before + 1


def test_a_done_run_runs_again_only_when_forced(night):
    (first,) = night.json("run", "warehouse.rollup")

    (forced,) = night.json("run", "warehouse.rollup", "--force")

    assert forced["generation"] == first["generation"] + 1


def test_backfill_fills_past_windows_once(night):
    found = night.json("backfill", "warehouse.rollup", "--from", "2026-01-01", "--to", "2026-01-03")

    windows = [run["window"] for run in found["runs"]]
    assert windows == ["2026-01-01", "2026-01-02", "2026-01-03"]
    assert found["states"] == {"done": 3}


def test_backfill_shows_its_windows_first(night):
    plan = night.json(
        "backfill",
        "warehouse.rollup",
        "--from",
        "2026-02-01",
        "--to",
        "2026-02-02",
        "--reverse",
        "--dry-run",
    )

    assert plan["windows"] == ["2026-02-02", "2026-02-01"]


def test_status_and_jobs_answer(night):
    assert night.json("status")["open"] == {"waiting": 0, "queued": 0, "running": 0}
    assert {row["job"] for row in night.json("jobs")} >= JOBS


def test_runs_are_there_after_everything_was_stopped(night):
    """Runs last of all in name only: it starts the servers again for whoever comes after."""
    night("down")

    assert {run["job"] for run in night.json("runs")} == JOBS
    night("night", "--keep")


def test_check_finds_all_well(night):
    assert all(one["ok"] for one in night.json("check"))


def test_the_nights_backup_is_listed_as_proved_with_its_restore_time(night):
    (backup,) = night.json("backups")

    assert (backup["is_equal"], backup["level"]) == (True, 4)
    assert backup["restore_s"] > 0
    assert {"newest verified", "last", "purge"} <= set(backup["stays"])
    said = night("backups").stdout
    assert "L4 content equal" in said
    shown = night.json("backups", "show", str(backup["id"]))
    assert shown["contents"]["parts"]["agent_queries"]["rows"] > 0
    assert "not encrypted" in night("backups", "show", str(backup["id"])).stdout


def test_a_backup_that_is_none_is_told(night):
    done = night("backups", "show", "999999", code=2)

    assert "there is no backup 999999; see `ocd backups`" in done.stderr
