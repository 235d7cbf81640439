-- Tells which windows of some jobs are in the ledger already, from an instant on.
-- Returns: one row (job, window_start) per job and window that has a real run, in whatever state.
-- Leans on: run_job_window_idx.
select distinct job, window_start from ocd.run
where kind = 'real' and job = any(:jobs) and window_start >= :since
