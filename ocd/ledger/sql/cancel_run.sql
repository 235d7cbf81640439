-- Asks a running run to stop at its next batch; ends a waiting or queued one at once, and what it was late for.
-- Returns: one row (state, progress_done, progress_total, progress_note) as it is now; no row when it
-- has ended already or does not exist.
-- Leans on: run_pkey, incident_open_job_idx.
with asked as (
  update ocd.run
  set cancel_requested_at = clock_timestamp(),
      state = case when state = 'running' then state else 'cancelled' end,
      finished_at = case when state = 'running' then null else clock_timestamp() end,
      publish_at = null, not_before = null
  where id = :id and state in ('waiting', 'queued', 'running')
  returning id, job, state, progress_done, progress_total, progress_note
), settled as (
  update ocd.incident i set closed_at = clock_timestamp(), closed_by_run_id = asked.id
  from asked
  where i.closed_at is null and i.job = asked.job and i.run_id = asked.id and i.kind = 'late' and asked.state = 'cancelled'
)
select state, progress_done, progress_total, progress_note from asked
