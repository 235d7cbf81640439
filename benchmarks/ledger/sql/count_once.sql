-- Counts the runs that were attempted once and are done.
-- Returns: one row (count).
-- Leans on: attempt_run_fence_key.
select count(*) from ocd.run r
where r.state = 'done' and r.attempt = 1
  and (select count(*) from ocd.attempt a where a.run_id = r.id and a.outcome = 'done') = 1
  and (select count(*) from ocd.attempt a where a.run_id = r.id) = 1
