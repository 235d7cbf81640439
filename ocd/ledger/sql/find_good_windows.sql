-- Finds the newest good window of each job: the newest one whose every real run is done.
-- A job may have several runs in a window, one per subject; with one of them missing the window is not good.
-- Returns: one row (job, window_label, window_end) per job that has one.
-- Leans on: run_identity, read backwards from the newest window until one is good.
select j.job, good.window_label, good.window_end
from unnest(cast(:jobs as text[])) as j (job)
cross join lateral (
  select r.window_start, r.window_end, max(r.window_label) as window_label
  from ocd.run r
  where r.job = j.job and r.kind = 'real'
  group by r.window_start, r.window_end
  having bool_and(r.state = 'done')
  order by r.window_start desc, r.window_end desc
  limit 1
) good
