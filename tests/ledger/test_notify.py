"""Notifications and log lines: told once, never the reason for another failure."""

from __future__ import annotations

import logging

import pytest

from ocd.ledger import history, loglines
from ocd.ledger.notify import Channels, notify
from tests.factories.clock import NOW
from tests.fakes.fake_webhook import fake_webhook


@pytest.fixture
def webhook():
    with fake_webhook() as fake:
        yield fake


@pytest.fixture
def run(conn, start_run):
    return history.run(conn, start_run().id)


INCIDENT = {
    "event": "opened",
    "id": 1,
    "cause": "failed:test.job:{}:X",
    "severity": "error",
    "summary": "test.job failed",
    "how_to": "docs/how-to/find-out-why-a-run-failed.md",
    "opened_at": NOW,
    "closed_at": None,
    "times": 1,
}


def test_without_channels_there_is_nobody_to_tell():
    assert not Channels()


def test_the_run_is_posted(run, webhook):
    assert notify(Channels(webhook.url), INCIDENT, run, []) is True
    assert webhook.posts[0]["look"] == f"ocd show {run['id']}"


@pytest.mark.parametrize("status", [404, 500])
def test_a_webhook_that_refuses_is_logged_without_its_address(run, webhook, caplog, status):
    webhook.status = status

    assert notify(Channels(webhook.url), INCIDENT, run, []) is False
    assert "s3cret" not in caplog.text
    assert "notification_failed" in caplog.text


def test_log_lines_stay_with_the_run(db, conn, start_run):
    run = start_run()
    log = logging.getLogger("ocd.some.room")
    log.setLevel(logging.INFO)

    with loglines.kept(db.engine, run.id, run.fence):
        log.info("purged", extra={"rows": 3})

    (line,) = history.log_lines(conn, run.id)
    assert (line["level"], line["event"], line["fields"]) == ("info", "purged", {"rows": 3})


def test_a_talkative_run_keeps_its_first_lines(db, conn, start_run, monkeypatch):
    monkeypatch.setattr(loglines, "MAX_LINES", 5)
    run = start_run()

    with loglines.kept(db.engine, run.id, run.fence):
        for number in range(9):
            logging.getLogger("ocd").warning("line", extra={"number": number})

    assert [line["fields"]["number"] for line in history.log_lines(conn, run.id)] == [0, 1, 2, 3, 4]
