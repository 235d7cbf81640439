"""Jobs of the sources room: GA4 and sitemaps."""

from __future__ import annotations

from ocd.ledger.policy import all_up_to
from ocd.sources.ga4 import refresh as ga4
from ocd.sources.ga4.backends import open_client
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
    """Replace the day's GA4 reports by what Google says now."""
    client, origin = open_client(door.settings)
    return ga4.refresh(
        door.conn,
        client,
        property_id=door.settings.ga_property or "recorded",
        origin=origin,
        day=door.run.window.day,
        now=door.now,
        run=door.run,
    )


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
