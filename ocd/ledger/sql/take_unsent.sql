-- Takes the queued runs whose message may never have been sent, or may be lost, and notes that it is sent now.
-- A message counts as lost after :stale_s; then after the run has waited twice as long, and so on, so that a
-- long queue costs a few messages a run, not one a minute. A second message does no harm.
-- Returns: one row (id) per run to send, longest overdue first, at most :limit.
-- Leans on: run_publish_idx.
-- The bound is statement_timestamp(): a volatile clock_timestamp() would be asked row by row, for the whole index.
with unsent as (
  select id from ocd.run
  where state = 'queued' and publish_at <= statement_timestamp() - make_interval(secs => :stale_s)
  order by publish_at
  limit :limit
  for update skip locked
)
update ocd.run r
set publish_at = clock_timestamp()
  + greatest(clock_timestamp() - r.queued_at - make_interval(secs => :stale_s), interval '0')
from unsent where r.id = unsent.id
returning r.id
