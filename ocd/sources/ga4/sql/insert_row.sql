-- Inserts one row of a partition; run with many parameter sets at once.
-- Returns: nothing. Grain: one row of a GA4 report.
insert into landing.ga_row (partition_id, row_number, dimensions, metrics)
values (:partition, :number, cast(:dimensions as jsonb), cast(:metrics as jsonb))
