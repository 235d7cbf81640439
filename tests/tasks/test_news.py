"""Whoever is to be told is told once, by channels that are really called, and tried again where they refuse."""

from __future__ import annotations

import logging
import sys
import threading

import pytest

from ocd.core.errors import ConfigError
from ocd.ledger import claims, incidents, notify
from ocd.ledger.claims import Ending
from ocd.ledger.notify import Channels
from ocd.ledger.states import State
from tasks import runtime
from tasks.news import tell_people
from tests.fakes.fake_webhook import fake_webhook

FAILED = Ending(State.FAILED, "failed", error_class="ConfigError", error_message="set it")
DONE = Ending(State.DONE, "done", rows=0, evidence={"type": "T", "version": 1})


@pytest.fixture
def receiver():
    with fake_webhook() as fake:
        yield fake


@pytest.fixture
def apprise_url(receiver):
    """The receiver as Apprise spells it, with a password that must never be seen."""
    return receiver.url.replace("http://", "json://someone:s3cret@")


@pytest.fixture
def told_by(db):
    """Set the channels that this process tells: told_by(OCD_WEBHOOK_URL=…)."""

    def use(**channels):
        runtime.release()
        runtime.use(
            {"OCD_DATABASE_URL": db.url, "OCD_REDIS_URL": "redis://127.0.0.1:1/0"} | channels
        )

    yield use
    runtime.release()
    runtime.use({})


@pytest.fixture
def end(db, start_run):
    def ended(ending, **order):
        with db.engine.begin() as conn:
            claims.finish(conn, start_run(**order), ending)

    return ended


def test_an_apprise_channel_gets_words(told_by, apprise_url, receiver, end):
    told_by(OCD_NOTIFY_URLS=apprise_url)
    end(FAILED)

    assert tell_people() == 1

    (post,) = receiver.posts
    assert post["title"] == "ocd: opened: failed:test.job:{}:ConfigError"
    assert post["type"] == "failure"
    assert "test.job 2026-11-23 failed: ConfigError: set it" in post["message"]
    assert "docs/how-to/find-out-why-a-run-failed.md" in post["message"]
    assert "ocd show" in post["message"]


def test_recovery_is_told_too_and_nothing_twice(told_by, apprise_url, receiver, end):
    told_by(OCD_NOTIFY_URLS=apprise_url)
    end(FAILED)
    tell_people()
    end(DONE, window="2026-11-24")

    assert [tell_people(), tell_people()] == [1, 0]

    assert [post["type"] for post in receiver.posts] == ["failure", "success"]


@pytest.mark.parametrize("channel", ["OCD_NOTIFY_URLS", "OCD_WEBHOOK_URL"])
def test_a_channel_that_refuses_is_tried_again_by_the_next_sweep(
    told_by, apprise_url, receiver, end, channel
):
    told_by(**{channel: apprise_url if channel == "OCD_NOTIFY_URLS" else receiver.url})
    end(FAILED)
    receiver.status = 500
    refused = tell_people()
    receiver.status = 204

    took = tell_people()

    assert (refused, took, tell_people()) == (0, 1, 0)
    assert len(receiver.posts) == 2


def test_a_channel_that_always_refuses_is_given_up(told_by, receiver, end):
    told_by(OCD_WEBHOOK_URL=receiver.url)
    end(FAILED)
    receiver.status = 500

    for _ in range(incidents.NOTIFY_ATTEMPTS + 2):
        assert tell_people() == 0

    assert len(receiver.posts) == incidents.NOTIFY_ATTEMPTS


def test_two_sweeps_at_once_tell_once(told_by, receiver, end):
    told_by(OCD_WEBHOOK_URL=receiver.url)
    for number in range(5):
        end(FAILED, subject={"number": number})
    start = threading.Barrier(2)

    def sweep():
        start.wait()
        tell_people()

    threads = [threading.Thread(target=sweep) for _ in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    causes = [post["cause"] for post in receiver.posts]
    assert len(causes) == len(set(causes)) == 5


@pytest.mark.parametrize("status", [204, 500, None], ids=["taken", "refused", "away"])
def test_no_log_shows_an_address(told_by, apprise_url, receiver, end, caplog, status):
    """Even where everything is logged: the address holds the password."""
    caplog.set_level(logging.DEBUG)
    away = "127.0.0.1:1/s3cret"
    urls = (f"http://{away}", f"json://{away}") if status is None else (receiver.url, apprise_url)
    told_by(OCD_WEBHOOK_URL=urls[0], OCD_NOTIFY_URLS=urls[1])
    receiver.status = status or 204
    end(FAILED)

    tell_people()

    assert "s3cret" not in caplog.text
    assert ("notification_failed" in caplog.text) == (status != 204)


def test_channels_are_described_without_their_addresses(apprise_url):
    words = notify.described(Channels("http://h/s3cret", (apprise_url, apprise_url)))

    assert words == "a webhook and 2 channel(s) of Apprise"
    assert "nobody" in notify.described(Channels())


def test_a_channel_that_apprise_does_not_know_is_found_without_showing_it():
    with pytest.raises(ConfigError, match="URL 1 is none") as refused:
        notify.described(Channels(apprise_urls=("nosuch://s3cret",)))

    assert "s3cret" not in str(refused.value)


def test_without_apprise_the_missing_extra_is_named_and_the_webhook_told_all_the_same(
    told_by, apprise_url, receiver, end, monkeypatch
):
    monkeypatch.setitem(sys.modules, "apprise", None)
    told_by(OCD_NOTIFY_URLS=apprise_url, OCD_WEBHOOK_URL=receiver.url)
    end(FAILED)

    tell_people()

    assert len(receiver.posts) == 1
    with pytest.raises(ConfigError, match=r"ocd\[notify\]"):
        notify.described(Channels(apprise_urls=(apprise_url,)))
