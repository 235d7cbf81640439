-- Lists what runs now, and how old each lease is.
-- Returns: one row per running run, longest running first.
-- Leans on: run_running_idx.
select id, job, kind, window_label as window, subject, attempt, worker, started_at, lease_until,
       coalesce(lease_renewed_at, started_at) as renewed_at, progress_done, progress_total, progress_note
from ocd.run
where state = 'running'
order by started_at, id
