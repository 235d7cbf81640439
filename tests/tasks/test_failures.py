"""What people see of runs that do not end well: state, words, notification, the way back."""

from __future__ import annotations

import pytest

from tests.fakes.fake_webhook import fake_webhook

NO_SITE = {
    "OCD_SITEMAP_URL": "http://127.0.0.1:1/sitemap.xml",
    "OCD_SITEMAP_ALLOW_HOSTS": "127.0.0.1:1",
    "OCD_RETRY_BACKOFF_S": "1",
}


@pytest.fixture
def webhook():
    with fake_webhook() as fake:
        yield fake


def test_a_source_that_is_away_is_tried_three_times_then_reported(shell, webhook):
    shell.environment = NO_SITE | {"OCD_WEBHOOK_URL": webhook.url}

    (run,) = shell.json("run", "sources.snapshot_sitemap", code=1)

    assert (run["state"], run["attempt"], run["error_class"]) == ("failed", 3, "SourceUnavailable")
    (post,) = webhook.posts
    assert (post["run"], post["error_class"], post["attempts"]) == (
        run["id"],
        "SourceUnavailable",
        3,
    )
    assert any("attempt_started" in line for line in post["log"])
    words = shell("show", str(run["id"])).stdout
    assert "failed after 3 attempt(s)" in words
    assert f"ocd rerun {run['id']}" in words
    outcomes = [one["outcome"] for one in shell.json("show", str(run["id"]))["attempts"]]
    assert outcomes == ["retry", "retry", "failed"]


def test_a_failed_step_is_mended_by_the_next_night(shell):
    shell.environment = NO_SITE | {"OCD_RETRY_BACKOFF_S": "1"}
    first = {run["job"]: run for run in shell.json("night", code=1)}
    shell.environment = {}

    second = {run["job"]: run for run in shell.json("night")}

    assert first["sources.snapshot_sitemap"]["state"] == "failed"
    assert {run["state"] for run in second.values()} == {"done"}
    assert second["sources.snapshot_sitemap"]["generation"] == 2
    assert second["lifecycle.backup"]["generation"] == 1


def test_a_purge_without_a_verified_backup_is_refused_and_deletes_nothing(shell):
    shell("seed", "--rows", "600")

    (run,) = shell.json("run", "lifecycle.purge", "--dataset", "agent_queries", code=1)

    assert (run["state"], run["error_class"], run["attempt"]) == ("refused", "BackupMissing", 1)
    assert "ocd run lifecycle.backup" in run["error_message"]


def test_a_blocked_night_is_completed_from_what_failed(shell):
    shell.environment = {"OCD_ARTIFACT_URL": "/proc/nowhere", "OCD_RETRY_BACKOFF_S": "1"}
    runs = {
        f"{run['job']} {run['params'].get('dataset', '')}".strip(): run
        for run in shell.json("night", code=1)
    }
    partial = shell.json("flow", "show", "night")
    shell.environment = {}

    backup, check = runs["lifecycle.backup"], runs["quality.check all"]  # both keep what they made
    purge = runs["lifecycle.purge agent_queries"]
    assert (backup["state"], backup["error_class"]) == ("failed", "StoreUnavailable")
    assert runs["lifecycle.verify"]["blocked_by"] == [backup["id"]]
    assert (purge["state"], purge["blocked_by"]) == ("waiting", [backup["id"], check["id"]])
    assert partial["state"] == "partial"
    assert f"ocd rerun {backup['id']}" in shell("show", str(purge["id"])).stdout

    again = shell.json("rerun", str(purge["id"]), "--from-failed")

    assert {run["state"] for run in again} == {"done"}
    generations = {run["job"]: run["generation"] for run in again}
    assert (generations["lifecycle.backup"], generations["warehouse.rollup"]) == (2, 1)
    assert shell.json("flow", "show", "night")["state"] == "done"
    assert shell.json("rerun", str(purge["id"]), "--from-failed") == []
