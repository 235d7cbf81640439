-- Keeps what Google restated: row count and totals of a partition before and after.
-- Returns: nothing. Grain: one row per restatement.
insert into landing.ga_restatement
  (property, report, day, run_id, fetched_before_at, fetched_at, rows_before, rows_after, totals_before, totals_after)
values
  (:property, :report, :day, :run_id, :fetched_before_at, :fetched_at, :rows_before, :rows_after,
   cast(:totals_before as jsonb), cast(:totals_after as jsonb))
