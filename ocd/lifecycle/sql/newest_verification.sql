-- The newest good verification of a dataset, the one of the given night first.
-- Returns: one row (verified_at, is_same_night) or none.
-- Leans on: verification_dataset_idx, run_pkey.
select v.verified_at, r.window_start = :window_start and b.window_start = :window_start as is_same_night
from ocd.verification v
join ocd.run r on r.id = v.run_id
join ocd.run b on b.id = v.backup_run_id
where v.dataset = :dataset and v.is_equal
  and not exists (select 1 from ocd.verification w
                  where w.backup_run_id = v.backup_run_id and w.dataset = v.dataset and w.id > v.id and not w.is_equal)
order by is_same_night desc, v.verified_at desc
limit 1
