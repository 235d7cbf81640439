"""What people type to hold beat back, to stop a run, and to see how a flow stands."""

from __future__ import annotations

import pytest

from tasks.flows import NIGHT


def test_a_pause_is_shown_with_who_and_why_until_it_ends(night):
    said = night("pause", "lifecycle.purge", "--reason", "legal asks to wait").stdout
    paused = night.json("pause", "night", "--reason", "a move")

    assert "ocd resume lifecycle.purge" in said
    assert {one["name"]: one["reason"] for one in paused} == {
        "lifecycle.purge": "legal asks to wait",
        "flow.night": "a move",
    }
    assert all(one["paused_by"] for one in paused)
    assert "paused" in night("flow", "show", "night").stdout
    assert night.json("resume", "--all") == {"resumed": ["flow.night", "lifecycle.purge"]}
    assert "paused" not in night("flow", "show", "night").stdout


def test_what_people_order_runs_in_a_pause(night):
    night("pause", "--all", "--reason", "a test")

    (run,) = night.json("run", "warehouse.rollup", "--force")

    night("resume", "--all")
    assert run["state"] == "done"


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["pause", "lifecycle.purg", "--reason", "x"], "did you mean 'lifecycle.purge'"),
        (["pause", "--reason", "x"], "name one job or flow, or --all"),
        (["pause", "night"], "--reason"),
        (["resume", "quality.check"], "is not paused"),
        (["flow", "show", "day"], "unknown flow"),
        (["flow", "show", "night", "--window", "soon"], "expected a day"),
        (["approve", "1", "--reason", "x"], "run 1 asks for nothing"),
        (["approve", "1"], "--reason"),
        (["rerun"], "name one run, or --dead alone"),
        (["rerun", "1", "--dead"], "name one run, or --dead alone"),
        (["backfills", "cancel", "99999"], "does not exist or has ended"),
        (["backfills", "follow", "99999"], "there is no backfill 99999"),
        (
            ["backfill", "warehouse.rollup", "--from", "2999-01-01", "--to", "2999-01-02"],
            "not over",
        ),
        (
            [
                "backfill",
                "warehouse.rollup",
                "--from",
                "2026-01-01",
                "--to",
                "2026-01-02",
                "--param",
                "x",
            ],
            "expected name=value",
        ),
        (
            [
                "backfill",
                "warehouse.rollup",
                "--from",
                "2026-01-01",
                "--to",
                "2026-01-02",
                "--max-active",
                "0",
            ],
            "--max-active",
        ),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, list) else "",
)
def test_wrong_words_are_a_clear_line(night, arguments, said):
    done = night(*arguments, code=2)

    assert said in done.stderr
    assert "Traceback" not in done.stderr


def test_a_flow_is_shown_as_a_tree_and_as_a_diagram(night):
    tree = night("flow", "show", "night").stdout
    diagram = night("flow", "show", "night", "--mermaid").stdout

    assert "lifecycle.verify" in tree
    assert tree.index("lifecycle.backup") < tree.index("lifecycle.verify")
    assert diagram.startswith("flowchart LR\n")
    assert "  lifecycle.backup --> lifecycle.verify\n" in diagram
    assert '  lifecycle.purge["lifecycle.purge"]:::done\n' in diagram


def test_a_window_that_was_never_ordered_shows_the_plan(night):
    found = night.json("flow", "show", "night", "--window", "2020-01-01")

    assert found["state"] == "not ordered"
    assert [step["job"] for step in found["steps"]] == [step.job for step in NIGHT.steps]
    assert not any(step["runs"] for step in found["steps"])


def test_flows_are_listed_with_their_next_hour(night):
    (found,) = night.json("flow", "list")

    assert (found["flow"], found["when"]) == ("night", "daily 02:00 UTC")


def test_a_queued_run_is_cancelled_at_once_and_taken_up_again(shell, db):
    shell.environment = {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": "redis://127.0.0.1:1/0"}
    (placed,) = shell.json("run", "warehouse.rollup", "--no-wait")

    said = shell("cancel", str(placed["run"])).stdout

    assert said.startswith(f"run {placed['run']}: cancelled")
    assert f"ocd rerun {placed['run']}" in said
    assert shell.json("rerun", str(placed["run"]), "--no-wait")[0]["what"] == "requeued"
    shell.environment = {}


def test_a_running_run_says_what_it_had_done(shell, db, start_run):
    shell.environment = {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": "redis://127.0.0.1:1/0"}
    run = start_run()
    with db.engine.connect() as conn, run.batch(conn) as batch:
        batch.progress(4000, 12000, "rows")

    said = shell("cancel", str(run.id)).stdout

    assert "stops after its current batch; done so far: 4,000 of 12,000 rows" in said
    shell.environment = {}
