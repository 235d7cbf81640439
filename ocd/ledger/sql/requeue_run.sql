-- Takes an ended run up again: a new generation, with the arguments given, keeping its history.
-- It waits when a step before it is not done, unless it is taken up by itself (`alone`).
-- Returns: one row (id, state); no row when it is open, or done and not forced.
-- Leans on: run_pkey, run_dependency_pkey.
update ocd.run r
set state = case when not :alone and exists (
        select 1 from ocd.run_dependency d join ocd.run b on b.id = d.depends_on_id
        where d.run_id = r.id and b.state <> 'done') then 'waiting' else 'queued' end,
    generation = generation + 1, attempt = 0, queued_at = clock_timestamp(), published_at = null, not_before = null,
    params = coalesce(cast(:params as jsonb), params), trigger = coalesce(cast(:trigger as text), trigger),
    requested_by = coalesce(cast(:requested_by as text), requested_by),
    cancel_requested_at = null, checkpoint = null, progress_done = null, progress_total = null, progress_note = null,
    error_class = null, error_message = null, evidence = null, rows = null, started_at = null, finished_at = null
where id = :id
  and (state in ('failed', 'refused', 'cancelled', 'dead') or (:force and state = 'done'))
returning id, state
