-- Takes a run of the given job: the lease and a higher fence in one statement, on the database's clock, so
-- that the lease is never null. Only queued runs, ones whose hour has come (a waiting run with `not_before`
-- in the past is queued in all but name), and running ones whose lease expired.
-- Returns: one row, the run as claimed; no row when it cannot be taken.
-- Leans on: run_pkey.
with taken as (
  select id, state as previous_state, fence as previous_fence
  from ocd.run
  where id = :id and job = :job
    and (state = 'queued'
      or (state = 'waiting' and not_before <= clock_timestamp())
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
      lease_until = clock_timestamp() + make_interval(secs => :lease_s), lease_renewed_at = clock_timestamp(),
      started_at = coalesce(r.started_at, clock_timestamp()), not_before = null, publish_at = null
  from taken
  where r.id = taken.id
  returning r.id, r.job, r.kind, r.window_start, r.window_end, r.window_label, r.params, r.generation, r.attempt,
            r.fence, r.checkpoint, clock_timestamp() as claimed_at
), noted as (
  insert into ocd.attempt (run_id, fence, generation, number, worker)
  select id, fence, generation, attempt, :worker from claimed
)
select * from claimed
