-- Returns: the newest kept profile of a dataset, but not that of run :run_id.
-- Grain: one row per column.
-- Leans on: column_profile_newest_idx (dataset, profiled_at).
select column_name, rows, nulls, stats, profiled_at
from ocd.column_profile
where dataset = :dataset and run_id = (
  select run_id from ocd.column_profile
  where dataset = :dataset and run_id <> :run_id
  order by profiled_at desc, id desc limit 1
)
order by id
