-- Lists incidents, open ones first, then newest first.
-- Returns: one row per incident, at most :limit.
-- Leans on: incident_open_idx (open ones), else a scan of a small table.
select id, cause, kind, severity, job, subject, run_id, error_class, summary, how_to, opened_at, seen_at, times,
       closed_at, closed_by_run_id, notified_at
from ocd.incident
where (:with_closed or closed_at is null) and (cast(:job as text) is null or job = :job)
order by closed_at is not null, opened_at desc
limit :limit
