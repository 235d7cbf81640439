-- The cutoffs of the last purge of a dataset before a window.
-- Returns: one row (cutoffs: rule → instant) or none.
-- Leans on: run_job_window_idx.
select evidence -> 'cutoffs' as cutoffs
from ocd.run
where job = 'lifecycle.purge' and kind = 'real' and state = 'done' and window_start < :window_start
  and subject = jsonb_build_object('dataset', cast(:dataset as text)) and evidence ? 'cutoffs'
order by window_start desc
limit 1
