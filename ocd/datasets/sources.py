"""Facts about what is read from outside every night: GA4 reports and the shop's sitemap."""

from __future__ import annotations

from datetime import timedelta

from ocd.datasets.access import READ, WORKER
from ocd.datasets.columns import ID, INSTANT
from ocd.datasets.facts import Access, Column, Dataset, Feed

#: Every night, and half a day for a night that is late.
DAILY = timedelta(hours=36)


def _flag(name: str, comment: str) -> Column:
    return Column(name, "boolean", comment, nullable=False, default="false")


#: Its rows hang on it, and the quota ledger stands beside it; `ocd.datasets.access` names them among the mirrors.
GA_PARTITIONS = Dataset(
    name="ga_partitions",
    table="landing.ga_partition",
    description="One GA4 report of one property on one day: origin, quality flags, the run that fetched it.",
    owner="operations",
    grain="one row per property, report and day",
    key="id",
    event_time="fetched_at",
    columns=(
        ID,
        Column("property", "text", "GA4 property.", nullable=False),
        Column("report", "text", "Report.", nullable=False),
        Column("day", "date", "Day in the property's time zone.", nullable=False),
        Column("origin", "text", "live or recorded.", nullable=False),
        Column("fetched_at", INSTANT, "When it was last read.", nullable=False),
        Column("run_id", "bigint", "Run that read it.", nullable=False),
        Column("row_count", "integer", "Rows it has.", nullable=False),
        Column("time_zone", "text", "The property's time zone then."),
        Column("currency", "text", "The property's currency then."),
        Column("is_provisional", "boolean", "Google may still restate it.", nullable=False),
        _flag("is_thresholded", "Google left out rows of few people."),
        _flag("is_sampled", "Google counted a sample."),
        _flag("has_other_row", "Google put rows together as (other)."),
        _flag("has_data_loss", "Numbers were lost to the row (other)."),
        Column(
            "content_sha256",
            "text",
            "Hash of the rows as they were read; null for what was read before it was kept.",
        ),
        Column("totals", "jsonb", "Sum of each metric over all rows."),
        Column("tokens", "integer", "Most tokens that one of its requests cost."),
        Column(
            "restated_at",
            INSTANT,
            "When Google last gave other numbers for the day than before; null: never.",
        ),
    ),
    access=(*WORKER, Access("ocd_reader", READ)),
    feed=Feed(("ga4",), fresh_within=DAILY),
)

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
