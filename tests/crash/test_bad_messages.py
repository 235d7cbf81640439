"""Whatever stands in Redis or in an old row: a clear refusal, and the ledger as it was."""

from __future__ import annotations

import json

import pytest

from tests.crash.processes import until

#: No sweep comes in between: what happens is what the message did.
QUIET = {"OCD_RECONCILE_S": "60"}

FORGED = [
    ("chaos.batches", (999_999,), {}, "it is unknown"),
    ("chaos.batches", (2**70,), {}, "it is unknown"),
    ("chaos.batches", (-1,), {}, "it is unknown"),
    ("chaos.batches", ("1",), {}, "a run's id is a whole number"),
    ("chaos.batches", (1.0,), {}, "a run's id is a whole number"),
    ("chaos.batches", (True,), {}, "a run's id is a whole number"),
    ("chaos.batches", ([1],), {}, "a run's id is a whole number"),
    ("chaos.batches", ("QUEUED",), {"batches": 99}, "carries no arguments"),
    ("chaos.batches", ("QUEUED", "label", "more"), {}, "TypeError"),
    ("chaos.echo", ("QUEUED",), {}, "nothing to do, it is queued"),
    ("chaos.batches", ("DONE",), {}, "nothing to do, it is done"),
    ("chaos.batches", (), {"force": True}, "unknown parameter of chaos.batches"),
    ("chaos.nobody", (1,), {}, "unregistered task"),
]


@pytest.fixture
def ledger(stack):
    """A worker, a run that is done, one that is queued."""
    worker = stack.worker(**QUIET)
    done = stack.start_run("chaos.batches", 1)
    stack.wait_for_state(done, "done")
    queued = stack.order("chaos.batches", 2)
    return stack, worker, {"DONE": done, "QUEUED": queued}


def ledger_of(stack):
    return stack.rows("select to_jsonb(r) from ocd.run r order by id")


def test_a_forged_message_is_refused_in_words_and_changes_nothing(ledger):
    stack, worker, ids = ledger
    before = ledger_of(stack)

    for number, (job, arguments, keywords, said) in enumerate(FORGED, 1):
        named = [ids.get(one, one) if isinstance(one, str) else one for one in arguments]
        seen = worker.count(said)
        stack.send(job, *named, **keywords)
        until(lambda said=said, seen=seen: worker.count(said) > seen, f"message {number}: {said}")

    assert ledger_of(stack) == before
    assert len(stack.effects(ids["DONE"])) == 50


PICKLE = {
    "body": "gASVAAAAAAA=",
    "content-type": "application/x-python-serialize",
    "content-encoding": "binary",
    "headers": {"id": "x", "task": "chaos.batches"},
    "properties": {"delivery_tag": "1", "delivery_info": {}, "body_encoding": "base64"},
}
GARBAGE = [
    json.dumps(PICKLE).encode(),
    b"{}",
    b'{"body": 1, "headers": null, "properties": {}}',
    b"no json at all",
]


def test_garbage_in_a_queue_costs_a_restart_at_most(stack):
    """What is no message of Celery's ends a worker; its supervisor starts the next one."""
    worker = stack.worker(**QUIET)

    for number, content in enumerate(GARBAGE):
        stack.client().lpush("ocd:short", content)
        run_id = stack.start_run("chaos.batches", number)
        until(
            lambda run_id=run_id, worker=worker: (
                stack.state(run_id) == "done" or not worker.is_alive()
            ),
            "the garbage is read",
        )
        if not worker.is_alive():
            worker = stack.worker(f"after{number}", **QUIET)
        stack.wait_for_state(run_id, "done")
        assert stack.outcomes(run_id) == ["done"]


def test_a_run_of_a_job_that_is_gone_is_refused_after_the_grace_and_never_sent(stack):
    fresh, old = stack.order("chaos.gone", 1), stack.order("chaos.gone", 2)
    stack.run_sql("update ocd.run set publish_at = '-infinity'")
    stack.run_sql(
        "update ocd.run set queued_at = queued_at - interval '10 minutes 1 second' where id = %s", old
    )  # fmt: skip

    worker = stack.worker()
    stack.wait_for_state(old, "refused")
    until(lambda: worker.count("ledger.reconcile") >= 6, "a few sweeps later")

    assert stack.state(fresh) == "queued"
    assert stack.run(old)["error_class"] == "UnknownName"
    assert stack.rows("select kind from ocd.incident where run_id = %s", old) == [("refused",)]
    assert worker.count("unregistered task") == 0
    assert worker.count("job_unknown") == 1


OLD_ARGUMENTS = [
    ({}, {"count": 1, "is_loud": False, "ratio": 0.5, "word": ""}),
    (
        {"count": "7", "is_loud": "true", "ratio": "2", "word": 5},
        {"count": 7, "is_loud": True, "ratio": 2.0, "word": "5"},
    ),
    ({"removed": "x", "count": 3}, {"count": 3, "is_loud": False, "ratio": 0.5, "word": ""}),
]
WRONG_ARGUMENTS = [
    {"count": "seven"},
    {"count": None},
    {"count": {"a": 1}},
    {"is_loud": "perhaps"},
    {"ratio": [1]},
]


def test_arguments_of_an_older_version_are_converted_or_fail_the_run_in_words(stack):
    stack.worker(**QUIET)

    good = [stack.start_run("chaos.echo", n, **held) for n, (held, _) in enumerate(OLD_ARGUMENTS)]
    bad = [stack.start_run("chaos.echo", 50 + n, **held) for n, held in enumerate(WRONG_ARGUMENTS)]
    for run_id in [*good, *bad]:
        stack.wait_for_end(run_id)

    reached = stack.rows("select customer from chaos_effect order by run_id")
    assert [json.loads(row[0]) for row in reached] == [wanted for _, wanted in OLD_ARGUMENTS]
    for run_id, held in zip(bad, WRONG_ARGUMENTS, strict=True):
        run = stack.run(run_id)
        assert (run["state"], run["error_class"]) == ("failed", "ConfigError")
        assert run["error_message"].startswith(f"--{next(iter(held))}: expected ")
