-- Takes the ready runs that no message is known to be under way for, and marks them published.
-- A message older than :stale_s may have been lost with the broker; a second one does no harm.
-- Returns: one row (id) per run to publish, oldest first, at most :limit.
-- Leans on: run_open_idx.
with ready as (
  select id from ocd.run
  where state = 'queued' and (not_before is null or not_before <= clock_timestamp())
    and (published_at is null or published_at < clock_timestamp() - make_interval(secs => :stale_s))
  order by queued_at
  limit :limit
  for update skip locked
)
update ocd.run r set published_at = clock_timestamp()
from ready where r.id = ready.id
returning r.id
