"""What is scraped: the ledger's facts under the names that alerts use."""

from __future__ import annotations

from datetime import timedelta

from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics
from prometheus_client.parser import text_string_to_metric_families

from ocd.core.db import now_of
from ocd.ledger import incidents, pauses, reconcile, schedules
from tests.factories.runs import insert_run


def scrape(client):
    """Return every sample: name with its labels in order → value."""
    answer = client.get("/metrics")
    assert answer.status_code == 200
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(answer.text)
        for sample in family.samples
    }


def test_a_new_ledger_has_no_good_window_and_nothing_wrong(client):
    found = scrape(client)

    assert found["ocd_ledger_up",] == found["ocd_broker_up",] == 1
    assert found["ocd_runs", "lifecycle.purge", "dead"] == 0
    assert found["ocd_incidents_open", "late", "error"] == 0
    assert found["ocd_lease_overdue_seconds",] == 0
    assert not any(name == "ocd_job_last_good_window_age_seconds" for name, *_ in found)


def test_what_the_schedule_promises_is_told_of_scheduled_jobs_only(client, conn):
    schedules.since(conn, "flow.night", "daily")
    conn.commit()

    found = scrape(client)

    assert found["ocd_job_deadline_seconds", "lifecycle.purge"] == 8 * 3600
    assert found["ocd_job_window_seconds", "lifecycle.purge"] == 24 * 3600
    assert found["ocd_job_next_due_timestamp_seconds", "lifecycle.purge"] > now_of(conn).timestamp()
    assert 0 <= found["ocd_job_scheduled_seconds", "lifecycle.purge"] < 60
    assert ("ocd_job_deadline_seconds", "on.demand") not in found
    assert found["ocd_job_paused", "on.demand"] == 0


def test_runs_queues_and_leases_are_told_by_job_and_queue(client, conn):
    now = now_of(conn)
    insert_run(conn, job="lifecycle.purge", day=-1)
    for number, state in enumerate(("dead", "failed", "queued")):
        insert_run(
            conn,
            job="lifecycle.purge",
            state=state,
            subject=str(number),
            queue="long",
            queued_at=now - timedelta(seconds=90),
            late_at=now,
        )
    insert_run(
        conn,
        job="gone.job",
        state="running",
        renewed_at=now - timedelta(seconds=50),
        lease_until=now - timedelta(seconds=20),
    )
    conn.commit()

    found = scrape(client)

    states = {
        key[2]: value for key, value in found.items() if key[:2] == ("ocd_runs", "lifecycle.purge")
    }
    assert states == {
        "waiting": 0,
        "queued": 1,
        "running": 0,
        "failed": 1,
        "refused": 0,
        "dead": 1,
        "late": 3,
    }
    assert found["ocd_runs", "gone.job", "running"] == 1
    assert found["ocd_job_last_good_window_age_seconds", "lifecycle.purge"] > 0
    assert (found["ocd_queue_length", "long"], found["ocd_queue_runs", "long"]) == (3, 1)
    assert 90 <= found["ocd_queue_oldest_seconds", "long"] < 150
    assert found["ocd_queue_oldest_seconds", "short"] == 0
    assert 50 <= found["ocd_lease_age_seconds",] < 110
    assert 20 <= found["ocd_lease_overdue_seconds",] < 80


def test_heartbeats_incidents_and_pauses_are_told(client, db, conn):
    reconcile.heard(db.engine, "canary")
    pauses.pause(conn, "flow.night", reason="why", paused_by="me")
    incidents.open_silent(conn, "beat", since=now_of(conn))
    conn.commit()

    found = scrape(client)

    assert 0 <= found["ocd_heartbeat_age_seconds", "canary"] < 60
    assert found["ocd_incidents_open", "silent", "critical"] == 1
    assert found["ocd_job_paused", "lifecycle.purge"] == 1


def test_without_a_ledger_the_page_says_so(away):
    found = scrape(away)

    assert found["ocd_ledger_up",] == 0
    assert found["ocd_queue_length", "long"] == 3
    assert not any(name.startswith("ocd_job") for name, *_ in found)


def test_without_redis_the_page_says_so(client, broker):
    broker.lengths = None

    found = scrape(client)

    assert (found["ocd_broker_up",], found["ocd_ledger_up",]) == (0, 1)
    assert not any(name == "ocd_queue_length" for name, *_ in found)


def test_no_label_names_a_run(client, conn):
    for day in range(5):
        insert_run(conn, job="lifecycle.purge", state="dead", day=-day)
    conn.commit()
    before = set(scrape(client))

    for day in range(5, 25):
        insert_run(conn, job="lifecycle.purge", state="dead", day=-day)
    conn.commit()

    assert set(scrape(client)) == before


def test_a_scraper_that_asks_for_openmetrics_gets_it(client):
    answer = client.get(
        "/metrics", headers={"accept": "application/openmetrics-text; version=1.0.0"}
    )

    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    assert "ocd_ledger_up" in {family.name for family in openmetrics(answer.text)}
