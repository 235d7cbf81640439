-- Takes an ended run up again: a new generation, with the arguments given, keeping its history.
-- It waits when a step before it is not done, unless it is taken up by itself (`alone`), and when a backfill
-- lets its runs go a few at a time.
-- Returns: one row (id, state); no row when it is open, or done and not forced.
-- Leans on: run_pkey, run_dependency_pkey.
with next as (
  select r.id, case when :is_held or (not :alone and exists (
      select 1 from ocd.run_dependency d join ocd.run b on b.id = d.depends_on_id
      where d.run_id = r.id and b.state <> 'done')) then 'waiting' else 'queued' end as state
  from ocd.run r where r.id = :id
)
update ocd.run r
set state = next.state, generation = r.generation + 1, attempt = 0, not_before = null, late_at = null,
    queued_at = case when next.state = 'queued' then clock_timestamp() end,
    publish_at = case when next.state = 'queued' then clock_timestamp() end,
    params = coalesce(cast(:params as jsonb), r.params), trigger = coalesce(cast(:trigger as text), r.trigger),
    requested_by = coalesce(cast(:requested_by as text), r.requested_by),
    backfill_id = cast(:backfill_id as bigint), backfill_position = cast(:backfill_position as integer),
    cancel_requested_at = null, checkpoint = null, progress_done = null, progress_total = null, progress_note = null,
    error_class = null, error_message = null, evidence = null, rows = null, started_at = null, finished_at = null
from next
where r.id = next.id
  and (r.state in ('failed', 'refused', 'cancelled', 'dead') or (:force and r.state = 'done'))
returning r.id, r.state
