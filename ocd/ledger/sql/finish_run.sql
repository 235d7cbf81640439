-- Ends a run, or sends it back to the queue, or lets it wait, if the caller still holds the fence; notes it with
-- the attempt, and adds the lines that it logged last. A real run that is done closes what was wrong with its
-- job, for its window and older ones.
-- Returns: one row (is_followed: other runs wait for it, backfill_id); no row when the lease was lost.
-- Leans on: run_pkey, attempt_run_fence_key, incident_open_job_idx, run_dependency_depends_on_idx.
with ended as (
  update ocd.run
  set state = :state, lease_until = null, lease_renewed_at = null, rows = coalesce(cast(:rows as bigint), rows),
      evidence = coalesce(cast(:evidence as jsonb), evidence),
      error_class = cast(:error_class as text), error_message = cast(:error_message as text),
      finished_at = case when :state in ('done', 'failed', 'refused', 'cancelled', 'dead') then clock_timestamp() end,
      queued_at = case when :state = 'queued' then clock_timestamp() else queued_at end,
      publish_at = case when :state = 'queued' then clock_timestamp() end,
      not_before = case when :state = 'waiting' then clock_timestamp() + make_interval(secs => :delay_s) end,
      attempt = attempt - case when :outcome in ('drained', 'deferred') then 1 else 0 end
  where id = :id and fence = :fence and state = 'running'
  returning id, fence, job, subject, kind, window_end, backfill_id
), noted as (
  update ocd.attempt a
  set finished_at = clock_timestamp(), outcome = :outcome, error_class = cast(:error_class as text),
      error_message = cast(:error_message as text), traceback = cast(:traceback as text)
  from ended
  where a.run_id = ended.id and a.fence = ended.fence
), logged as (
  insert into ocd.log_line (run_id, fence, at, level, event, fields)
  select ended.id, ended.fence, line.at, line.level, line.event, line.fields
  from ended, jsonb_to_recordset(cast(:lines as jsonb)) as line (at timestamptz, level text, event text, fields jsonb)
), recovered as (
  update ocd.incident i set closed_at = clock_timestamp(), closed_by_run_id = ended.id
  from ended
  where :state = 'done' and ended.kind = 'real' and i.closed_at is null and i.job = ended.job
    and i.subject = ended.subject and i.window_end <= ended.window_end
)
select exists (select 1 from ocd.run_dependency d where d.depends_on_id = ended.id) as is_followed, backfill_id
from ended
