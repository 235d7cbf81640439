-- Sends runs whose worker fell silent back to the queue; those that used up their attempts are dead.
-- Safe to run twice at once: each row is taken by one sweep.
-- Returns: one row (id, state) per run.
-- Leans on: run_running_idx, attempt_run_fence_key.
with expired as (
  select id, fence, attempt >= :max_attempts as is_dead from ocd.run
  where state = 'running' and lease_until < clock_timestamp()
  for update skip locked
), swept as (
  update ocd.run r
  set state = case when e.is_dead then 'dead' else 'queued' end,
      lease_until = null, lease_renewed_at = null,
      queued_at = clock_timestamp(), publish_at = case when not e.is_dead then timestamptz '-infinity' end,
      finished_at = case when e.is_dead then clock_timestamp() end,
      error_class = case when e.is_dead then 'WorkerLost' end,
      error_message = case when e.is_dead then 'its worker disappeared in attempt ' || r.attempt || ' of ' || :max_attempts end
  from expired e
  where r.id = e.id
  returning r.id, r.state, e.fence
), closed as (
  update ocd.attempt a set finished_at = clock_timestamp(), outcome = 'crashed'
  from swept s where a.run_id = s.id and a.fence = s.fence
)
select id, state from swept
