-- Opens an incident, or notes that the open one of the same cause was seen again.
-- Returns: one row (id, is_new).
-- Leans on: incident_open_idx.
insert into ocd.incident (cause, kind, severity, job, subject, window_end, run_id, error_class, summary, how_to)
values (:cause, :kind, :severity, :job, cast(:subject as jsonb), :window_end, :run_id, :error_class, :summary, :how_to)
on conflict (cause) where closed_at is null do update
set seen_at = clock_timestamp(), times = ocd.incident.times + 1, run_id = excluded.run_id,
    window_end = greatest(ocd.incident.window_end, excluded.window_end), summary = excluded.summary
returning id, times = 1 as is_new
