"""A11: passwords and customers' data never reach Redis, Flower, logs, process lists or evidence."""

from __future__ import annotations

import base64
import http.client
import json
import re
import socket

import psutil
import pytest

from tests.crash.processes import until

#: Planted in arguments and in rows; half of them would be enough to tell a customer.
CUSTOMER = "canary.customer@example.org"
#: Planted in a URL that cannot be reached, so that everything that fails over it is told as well.
PASSWORD = "hunter2-canary"
WEBHOOK = f"http://ops:{PASSWORD}@127.0.0.1:9/hook"
LOGIN = "flower:secret"


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def fetch(port: int, path: str) -> str:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    token = base64.b64encode(LOGIN.encode()).decode()
    connection.request("GET", path, headers={"Authorization": f"Basic {token}"})
    answer = connection.getresponse()
    text = answer.read().decode(errors="replace")
    connection.close()
    return text if answer.status == 200 else ""


def is_up(port: int) -> bool:
    try:
        return bool(fetch(port, "/healthcheck"))
    except OSError:
        return False


@pytest.fixture
def told(stack) -> dict[str, str]:
    """Everything that a stack says anywhere while jobs end well and badly over a customer's data."""
    secrets = {"OCD_WEBHOOK_URL": WEBHOOK}
    port = free_port()
    flower = stack.flower(port, LOGIN)
    until(lambda: is_up(port), "Flower answers")
    stack.worker(children=2, CHAOS_SCHEDULE="chaos.tick", **secrets)
    stack.beat(schedule="chaos.tick", **secrets)
    ways = ["well", "database", "foreign", "contract"]
    runs = [
        stack.order("chaos.leaky", window, customer=CUSTOMER, how=how)
        for window, how in enumerate(ways)
    ]
    runs.append(stack.order("chaos.echo", word=CUSTOMER, count=CUSTOMER))
    # The next sweep sends them: the messages are those of the product.
    stack.run_sql("update ocd.run set publish_at = '-infinity' where state = 'queued'")
    until(
        lambda: (
            stack.value(
                "select count(*) from ocd.run where id = any(%s) and state in ('done', 'failed')",
                runs,
            )
            == len(runs)
        ),
        "every run ended",
    )
    until(lambda: len(json.loads(fetch(port, "/api/tasks") or "{}")) >= len(runs), "Flower saw them")  # fmt: skip
    assert [stack.state(one) for one in runs] == ["done", *["failed"] * 4]
    return {
        "flower": flower_says(port),
        "redis": redis_holds(stack),
        "logs": "\n".join(one.said() for one in [*stack.processes, flower]),
        "process list": " ".join(
            word for process in psutil.process_iter(["cmdline"]) for word in process.info["cmdline"] or []
        ),
        "ledger": ledger_says(stack),
    }  # fmt: skip


def flower_says(port: int) -> str:
    """The API and every page that shows tasks."""
    ids = list(json.loads(fetch(port, "/api/tasks")))
    paths = ["/api/tasks", "/api/workers?refresh=1", "/metrics", "/tasks", "/workers"]
    return "\n".join(
        fetch(port, path) for path in [*paths, *(f"/task/{task_id}" for task_id in ids)]
    )


def redis_holds(stack) -> str:
    """Every key with what it holds, and the file in which everything ever written stands."""
    client = stack.client()
    keys = [client.dump(key) or b"" for key in client.keys("*")]
    client.close()
    stack.redis.stop()
    files = [path.read_bytes() for path in (stack.home / "redis").glob("*.aof")]
    return b"\n".join([*keys, *files]).decode("utf-8", errors="replace")


def ledger_says(stack) -> str:
    """What the ledger tells of runs; their arguments are where the data belongs."""
    parts = [
        "select string_agg((to_jsonb(t) - 'params')::text, E'\\n') from ocd.run t",
        *(
            f"select string_agg(to_jsonb(t)::text, E'\\n') from ocd.{table} t"
            for table in ("attempt", "log_line", "incident", "heartbeat", "artifact")
        ),
    ]
    return "\n".join(str(stack.value(part)) for part in parts)


def test_a11_no_planted_canary_is_told_anywhere(told, stack):
    database_password = stack.postgres.password("worker")

    found = [
        (place, secret)
        for place, text in told.items()
        for secret in (CUSTOMER, PASSWORD, database_password)
        if secret in text
    ]

    assert found == []
    # The net holds water: what is allowed to be told was looked at in every place.
    assert re.search(r"run \d+ failed", told["flower"])
    assert "chaos.leaky" in told["redis"]
    assert "attempt_started" in told["logs"]
    assert "celery" in told["process list"]
    assert "ContractBroken" in told["ledger"]
