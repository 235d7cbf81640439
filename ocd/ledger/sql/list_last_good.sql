-- The newest window of every job that ended done.
-- Returns: one row (job, window_label, finished_at) per job.
-- Leans on: run_job_window_idx.
select distinct on (job) job, window_label, finished_at
from ocd.run
where state = 'done' and kind = 'real'
order by job, window_start desc
