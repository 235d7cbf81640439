-- Marks the runs that are not done at their deadline, once each.
-- Safe to run twice at once: each row is taken by one sweep.
-- Returns: one row (id, job, subject, window_label, window_end, state, deadline_at) per run.
-- Leans on: run_deadline_idx.
-- The bound is statement_timestamp(): a volatile clock_timestamp() would be asked row by row, for the whole index.
with overdue as (
  select id from ocd.run
  where late_at is null and deadline_at < statement_timestamp() and state not in ('done', 'cancelled')
  order by deadline_at
  limit :limit
  for update skip locked
)
update ocd.run r set late_at = clock_timestamp()
from overdue where r.id = overdue.id
returning r.id, r.job, r.subject, r.window_label, r.window_end, r.state, r.deadline_at
