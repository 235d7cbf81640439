-- Takes a run: the lease and a higher fence in one statement, on the database's clock, so that the
-- lease is never null. Only queued runs that are due, and running ones whose lease expired.
-- Returns: one row, the run as claimed with the previous state; no row when it cannot be taken.
-- Leans on: run_pkey.
with taken as (
  select id, state as previous_state, fence as previous_fence
  from ocd.run
  where id = :id
    and ((state = 'queued' and (not_before is null or not_before <= clock_timestamp()))
      or (state = 'running' and lease_until < clock_timestamp() and attempt < :max_attempts))
  for update
), closed as (
  update ocd.attempt a
  set finished_at = clock_timestamp(), outcome = 'crashed'
  from taken
  where a.run_id = taken.id and a.fence = taken.previous_fence and taken.previous_state = 'running'
), claimed as (
  update ocd.run r
  set state = 'running', fence = r.fence + 1, attempt = r.attempt + 1, worker = :worker,
      lease_until = clock_timestamp() + make_interval(secs => :lease_s),
      started_at = coalesce(r.started_at, clock_timestamp()), not_before = null
  from taken
  where r.id = taken.id
  returning r.*, clock_timestamp() as claimed_at
), noted as (
  insert into ocd.attempt (run_id, fence, generation, number, worker)
  select id, fence, generation, attempt, worker from claimed
)
select * from claimed
