-- Counts the runs that are open or ended badly; never reads the finished ones.
-- Returns: one row (job, queue, state, kind, runs, late, oldest_queued_at) per combination that exists; `late` are
-- those of them that were found not done at their deadline.
-- Leans on: run_publish_idx, run_running_idx, run_waiting_idx, run_bad_end_idx (an arm each: an OR may be scanned).
select job, queue, state, kind, count(*) as runs, count(late_at) as late,
       min(queued_at) filter (where state = 'queued') as oldest_queued_at
from (
  select job, queue, state, kind, late_at, queued_at from ocd.run where state = 'queued'
  union all
  select job, queue, state, kind, late_at, queued_at from ocd.run where state = 'running'
  union all
  select job, queue, state, kind, late_at, queued_at from ocd.run where state = 'waiting'
  union all
  select job, queue, state, kind, late_at, queued_at from ocd.run where state in ('failed', 'refused', 'dead')
) r
group by job, queue, state, kind
