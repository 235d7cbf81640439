"""The demo's sources: recordings for every report, and a shop that the snapshot reads whole."""

from __future__ import annotations

import signal
import socket
import subprocess
import sys
import threading
from datetime import date

import httpx
import pytest
from sqlalchemy import text

from ocd.core.errors import LeaseLost
from ocd.local import demo_site
from ocd.local.home import DEMO
from ocd.sources.ga4.answers import Page
from ocd.sources.ga4.pages import read_day
from ocd.sources.ga4.recorded import RecordedClient
from ocd.sources.ga4.refresh import Source, refresh
from ocd.sources.ga4.reports import REPORTS
from ocd.sources.sitemaps.snapshot import snapshot
from tests.factories.clock import NOW

DAY = date(2026, 11, 23)


@pytest.fixture
def shop():
    """Host and port of the demo shop."""
    with demo_site.serve(0) as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.01,))
        thread.start()
        yield f"127.0.0.1:{server.server_address[1]}"
        server.shutdown()
        thread.join()


def read(report) -> Page:
    (page,) = read_day(RecordedClient(DEMO / "ga4"), "1", report, DAY, restart=lambda: None)
    return page


def take(conn, shop, run, keeper):
    return snapshot(
        conn, site_url=f"http://{shop}/", allow_hosts=(shop,), sample_pages=3, now=NOW, run=run, keeper=keeper
    )  # fmt: skip


@pytest.mark.parametrize("report", REPORTS, ids=lambda report: report.name)
def test_every_report_has_a_recording_that_fits_any_day(report):
    first, again = read(report), read(report)

    assert first.rows
    assert first == again
    place = report.dimensions.index("date") if "date" in report.dimensions else None
    assert {"20261123" if place is None else row[place] for row in first.rows} == {"20261123"}


def test_the_recorded_sessions_agree_between_the_reports():
    totals = {read(report).totals[report.metrics.index("sessions")] for report in REPORTS}

    assert len(totals) == 1


def test_the_shop_is_read_whole_and_without_a_warning(conn, next_run, keeper_for, shop):
    run = next_run()

    report = take(conn, shop, run, keeper_for(run))

    assert (report.rows, report.files, report.warnings) == (60, 5, {})
    assert report.is_lastmod_uniform is False
    assert report.sampled == {"found": 3}


def test_the_shop_stays_the_same(conn, next_run, keeper_for, shop):
    for _ in range(2):
        run = next_run()
        report = take(conn, shop, run, keeper_for(run))

    assert (report.added, report.removed, report.content_changed) == (0, 0, 0)


def test_the_shop_names_itself_as_it_was_called(shop):
    found = httpx.get(f"http://{shop}/robots.txt", headers={"Host": "shop.test:81"})
    refused = httpx.get(f"http://{shop}/robots.txt", headers={"Host": "<x>"})

    assert "Sitemap: http://shop.test:81/sitemap.xml" in found.text
    assert f"Sitemap: http://{shop}/sitemap.xml" in refused.text
    assert httpx.get(f"http://{shop}/nothing").status_code == 404


def test_the_shop_ends_quietly_on_sigterm():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [sys.executable, "-m", "ocd.local.demo_site", "--port", str(port)]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as process:
        transport = httpx.HTTPTransport(retries=8)  # 0.5 s, doubled each time, until it listens
        with httpx.Client(transport=transport) as client:
            assert client.get(f"http://127.0.0.1:{port}/sitemap.xml").status_code == 200

        process.send_signal(signal.SIGTERM)
        said, _ = process.communicate(timeout=10)

    assert (process.returncode, said) == (0, b"")


def test_a_run_that_lost_its_lease_writes_neither_source(conn, next_run, keeper_for, shop):
    run = next_run()
    run.fence -= 1

    with pytest.raises(LeaseLost):
        refresh(
            conn, Source(RecordedClient(DEMO / "ga4"), "1", "recorded"), day=DAY, now=NOW, run=run
        )  # fmt: skip
    with pytest.raises(LeaseLost):
        take(conn, shop, run, keeper_for(run))

    for table in ("ga_partition", "sitemap_snapshot", "sitemap_url"):
        assert conn.execute(text(f"select count(*) from landing.{table}")).scalar() == 0
    assert conn.execute(text("select count(*) from ocd.artifact")).scalar() == 0
