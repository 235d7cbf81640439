-- What became of every purge since an instant.
-- Returns: one row (dataset, window_start, window_label, state, rows, backlog, error_message, finished_at, run_id)
-- per dataset and window, in order of windows.
-- Leans on: run_job_window_idx.
select subject ->> 'dataset' as dataset, window_start, window_label, state, rows,
       (evidence ->> 'backlog')::bigint as backlog, error_message, finished_at, id as run_id
from ocd.run
where job = 'lifecycle.purge' and kind = 'real' and window_start >= :since
order by window_start, dataset
