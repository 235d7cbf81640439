"""Facts about what is read from the shop's own site: its sitemap."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ, WORKER
from ocd.datasets.columns import ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed

#: Every night, and half a day for a night that is late.
DAILY = timedelta(hours=36)

#: Its URLs, files and pages hang on it; `ocd.datasets.access` names them among the mirrors.
SITEMAP_SNAPSHOTS = Dataset(
    name="sitemap_snapshots",
    table="landing.sitemap_snapshot",
    description="One reading of a site's sitemap.",
    owner="operations",
    grain="one row per believed reading",
    key="id",
    event_time="taken_at",
    columns=(
        ID,
        Column("site", "text", "Host, and port where it is not the usual one.", nullable=False),
        Column("source_url", "text", "Where the reading began.", nullable=False),
        Column("taken_at", INSTANT, "When it was read.", nullable=False),
        Column("run_id", "bigint", "Run that read it.", nullable=False),
        Column("previous_id", "bigint", "The reading before; null for the first."),
        Column("file_count", "integer", "Files read, an index included.", nullable=False),
        Column("url_count", "integer", "Distinct usable URLs.", nullable=False),
        Column("duplicate_count", "integer", "URLs that were named again.", nullable=False),
        Column("bytes_read", "bigint", "Bytes of all files, unpacked.", nullable=False),
        Column(
            "content_sha256",
            "text",
            "Hash of every URL with its fingerprint, in order; lastmod is left out.",
            nullable=False,
        ),
        Column(
            "is_lastmod_uniform",
            "boolean",
            "Most URLs claim the same lastmod, so that it says nothing.",
            nullable=False,
        ),
        Column(
            "warnings",
            "jsonb",
            "What was odd, counted by kind.",
            nullable=False,
            default="'[]'::jsonb",
        ),
        Column("added_count", "integer", "URLs new since the reading before; null for the first."),
        Column("removed_count", "integer", "URLs that no longer stand; null for the first."),
        Column("changed_count", "integer", "URLs with another image or title; null for the first."),
        Column(
            "lastmod_only_count",
            "integer",
            "URLs of which only lastmod changed; null where that cannot be told.",
        ),
        Column(
            "not_modified_count",
            "integer",
            "Files that the site did not send again.",
            nullable=False,
            default="0",
        ),
        Column(
            "soft_404_count",
            "integer",
            "Sampled pages that say not found with a good status.",
            nullable=False,
            default="0",
        ),
        Column(
            "hosts",
            "text[]",
            "Hosts that the site speaks for.",
            nullable=False,
            default="'{}'::text[]",
        ),
    ),
    access=(*WORKER, Access("ocd_reader", READ)),
    feed=Feed(("sitemap",), fresh_within=DAILY),
)
