-- Lists the partitions of the days before one that came from the same origin.
-- Returns: report, day, fetched_at, is_provisional. Grain: one row per partition.
-- Leans on: ga_partition_property_report_day_key.
select report, day, fetched_at, is_provisional from landing.ga_partition
where property = :property and origin = :origin and report = any(:reports) and day >= :first and day < :day
