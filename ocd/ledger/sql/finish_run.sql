-- Ends a run, or sends it back to the queue, if the caller still holds the fence; notes it with the attempt.
-- Returns: one row with the new state; no row when the lease was lost.
-- Leans on: run_pkey.
with ended as (
  update ocd.run
  set state = :state, lease_until = null, rows = coalesce(cast(:rows as bigint), rows),
      evidence = coalesce(cast(:evidence as jsonb), evidence),
      error_class = cast(:error_class as text), error_message = cast(:error_message as text),
      finished_at = case when :state in ('done', 'failed', 'refused', 'cancelled', 'dead') then clock_timestamp() end,
      queued_at = case when :state = 'queued' then clock_timestamp() else queued_at end,
      published_at = case when :state = 'queued' then null else published_at end,
      not_before = case when :state = 'queued' then clock_timestamp() + make_interval(secs => :delay_s) end,
      attempt = attempt - case when :outcome = 'drained' then 1 else 0 end
  where id = :id and fence = :fence and state = 'running'
  returning id, fence, state
), noted as (
  update ocd.attempt a
  set finished_at = clock_timestamp(), outcome = :outcome, error_class = cast(:error_class as text),
      error_message = cast(:error_message as text), traceback = cast(:traceback as text)
  from ended
  where a.run_id = ended.id and a.fence = ended.fence
)
select state from ended
