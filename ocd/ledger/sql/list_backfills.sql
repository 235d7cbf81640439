-- Lists backfills with how their runs stand, newest first.
-- Returns: one row per backfill, at most :limit; `states` maps state to number of runs.
-- Leans on: backfill_pkey, run_backfill_idx.
select b.*, coalesce((
  select jsonb_object_agg(s.state, s.count) from (
    select r.state, count(*) from ocd.run r where r.backfill_id = b.id group by r.state) s), '{}') as states
from ocd.backfill b
where cast(:id as bigint) is null or b.id = :id
order by b.id desc
limit :limit
