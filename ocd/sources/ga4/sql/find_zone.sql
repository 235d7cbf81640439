-- Finds the time zone and currency that a property had when it was last read.
-- Returns: one row (time_zone, currency); no row where it was never read.
select time_zone, currency from landing.ga_partition
where property = :property and origin = :origin and time_zone is not null
order by fetched_at desc, id desc limit 1
