-- Finds a partition as it stands, and holds it.
-- Returns: one row (id, origin, fetched_at, row_count, content_sha256, totals); no row where there is none.
-- Leans on: ga_partition_property_report_day_key.
select id, origin, fetched_at, row_count, content_sha256, totals from landing.ga_partition
where property = :property and report = :report and day = :day
for update
