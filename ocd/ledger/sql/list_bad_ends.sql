-- Lists the real runs that ended badly and were not taken up again.
-- Returns: one row (id) per run in one of :states, newest end first, at most :limit.
-- Leans on: run_bad_end_idx; the first condition is its predicate, which :states alone would not imply.
select id from ocd.run
where state in ('failed', 'refused', 'dead') and state = any(cast(:states as text[])) and kind = 'real'
  and (cast(:job as text) is null or job = :job)
order by finished_at desc
limit :limit
