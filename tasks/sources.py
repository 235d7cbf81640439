"""Jobs of the sources room: GA4 and sitemaps."""

from __future__ import annotations

from ocd.ledger.policy import all_up_to
from ocd.sources.ga4 import compare
from ocd.sources.ga4 import refresh as ga4
from ocd.sources.ga4.backends import opened, origin_of
from ocd.sources.ga4.metered import metered
from ocd.sources.sitemaps import snapshot as sitemaps
from tasks.job import Door, job


@job(
    "sources.refresh_ga",
    queue="io",
    effect="idempotent",
    can_backfill=True,
    catch_up=all_up_to(7),
)
def refresh_ga(door: Door) -> ga4.RefreshReport:
    """Replace the day's GA4 reports by what Google says now, and those of earlier days that may have changed."""
    origin = origin_of(door.settings.ga_backend)
    with opened(door.settings) as client:
        source = ga4.Source(
            metered(client, door.engine, origin, run_id=door.run.id),
            door.settings.ga_property or "recorded",
            origin,
        )
        return ga4.refresh(door.conn, source, day=door.run.window.day, now=door.now, run=door.run)


@job("sources.compare_ga", queue="io", effect="read_only", can_backfill=True, is_on_demand=True)
def compare_ga(door: Door, backend: str = "mcp", days: int = 3) -> compare.CompareReport:
    """Read the days up to the window's from two GA4 backends and say where they differ; stores no data."""
    with opened(door.settings) as client, opened(door.settings, backend) as other:
        pair = compare.Pair(
            str(door.settings.ga_backend),
            metered(client, door.engine, origin_of(door.settings.ga_backend), run_id=door.run.id),
            backend,
            metered(other, door.engine, origin_of(backend), run_id=door.run.id),
            door.settings.ga_property or "recorded",
        )
        return compare.compare(pair, door.conn, last=door.run.window.day, days=days, run=door.run)


@job("sources.snapshot_sitemap", queue="io", effect="idempotent")
def snapshot_sitemap(door: Door, *, dry_run: bool = False) -> sitemaps.SnapshotReport:
    """Read the shop's sitemap and store what changed since the last time."""
    return sitemaps.snapshot(
        door.conn,
        site_url=door.settings.sitemap_url,
        allow_hosts=door.settings.sitemap_allow_hosts,
        sample_pages=door.settings.sitemap_sample_pages,
        now=door.now,
        run=door.run,
        keeper=door.keeper,
        dry_run=dry_run,
    )
