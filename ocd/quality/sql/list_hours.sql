-- Returns: the hours of a dataset that were counted from :since until :until, oldest first.
-- Grain: one row per hour.
-- Leans on: completeness_key (dataset, hour_at).
select hour_at, seen, expected, least, nulls
from ocd.completeness
where dataset = :dataset and hour_at >= :since and hour_at < :until
order by hour_at
