-- What became of every purge since an instant.
-- Returns: one row (dataset, window_start, state, rows, left_over, run_id) per dataset and window, in order of
-- windows; left_over are rows that were past their time and stayed, for want of time or because somebody locked them.
-- Leans on: run_job_window_idx.
select subject ->> 'dataset' as dataset, window_start, state, rows,
       (evidence ->> 'backlog')::bigint + (evidence ->> 'skipped_locked')::bigint as left_over, id as run_id
from ocd.run
where job = 'lifecycle.purge' and kind = 'real' and window_start >= :since
order by window_start, dataset
