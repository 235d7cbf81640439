-- Stops a backfill: what waits or is queued is cancelled, what runs stops at its next batch.
-- Returns: one row (stopped, stopping) with the numbers of runs; no row when it has ended or does not exist.
-- Leans on: backfill_pkey, run_backfill_idx.
with asked as (
  update ocd.backfill set cancelled_at = coalesce(cancelled_at, clock_timestamp())
  where id = :id and finished_at is null
  returning id
), stopped as (
  update ocd.run r
  set cancel_requested_at = clock_timestamp(), not_before = null, publish_at = null,
      state = case when r.state = 'running' then r.state else 'cancelled' end,
      finished_at = case when r.state = 'running' then null else clock_timestamp() end
  from asked where r.backfill_id = asked.id and r.state in ('waiting', 'queued', 'running')
  returning r.state
)
select count(*) filter (where state = 'cancelled') as stopped, count(*) filter (where state = 'running') as stopping
from stopped having exists (select 1 from asked)
