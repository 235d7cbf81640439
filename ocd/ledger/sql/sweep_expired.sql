-- Sends runs whose worker fell silent back to the queue; those that crashed too often are dead.
-- Safe to run twice at once: each row is taken by one sweep.
-- Returns: one row (id, state) per run.
-- Leans on: run_open_idx.
with expired as (
  select id, fence from ocd.run
  where state = 'running' and lease_until < clock_timestamp()
  for update skip locked
), swept as (
  update ocd.run r
  set state = case when r.attempt >= :max_attempts then 'dead' else 'queued' end,
      lease_until = null, queued_at = clock_timestamp(), published_at = null,
      finished_at = case when r.attempt >= :max_attempts then clock_timestamp() end,
      error_class = case when r.attempt >= :max_attempts then 'WorkerLost' end,
      error_message = case when r.attempt >= :max_attempts
        then 'the worker disappeared in each of ' || r.attempt || ' attempts' end
  from expired e
  where r.id = e.id
  returning r.id, r.state, e.fence
), closed as (
  update ocd.attempt a set finished_at = clock_timestamp(), outcome = 'crashed'
  from swept s where a.run_id = s.id and a.fence = s.fence
)
select id, state from swept
