-- Estimates what a request of a report costs: the most that one cost on the 28 newest days that are stored.
-- Returns: one row (tokens), null where nothing is known.
-- Leans on: ga_partition_property_report_day_key.
select max(tokens) from (
  select tokens from landing.ga_partition where property = :property and report = :report order by day desc limit 28
) newest
