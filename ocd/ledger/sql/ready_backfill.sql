-- Lets the next runs of a backfill go: as many as are missing to `max_active` under way. The backfill's row is
-- locked by the caller, so that two runs that end at the same time do not let two go for one.
-- Returns: one row (id) per run that became ready.
-- Leans on: run_backfill_idx.
with free as (
  select greatest(b.max_active - count(r.id), 0) as places
  from ocd.backfill b
  left join ocd.run r on r.backfill_id = b.id and (r.state in ('queued', 'running')
    or (r.state = 'waiting' and r.not_before is not null))
  where b.id = :id and b.cancelled_at is null
  group by b.max_active
), next as (
  select r.id from ocd.run r
  where r.backfill_id = :id and r.state = 'waiting' and r.not_before is null and r.backfill_position is not null
  order by r.backfill_position
  limit coalesce((select places from free), 0)
)
update ocd.run r
set state = 'queued', queued_at = clock_timestamp(), publish_at = clock_timestamp()
from next where r.id = next.id
returning r.id
