-- The newest good verification of a dataset, the one of the given night first, and the copy that it proved. Only one
-- that restored the table (level 3 or 4) counts; one that a later verification found unequal, of whatever backup,
-- counts no more: something is wrong, and nobody looked.
-- Returns: one row (verified_at, is_same_night, artifact_name, sha256) or none; the last two are null where the
-- copy is no longer kept.
-- Leans on: verification_dataset_idx, run_pkey, backup_table_pkey, artifact_name_key.
select v.verified_at, r.window_start = :window_start and b.window_start = :window_start as is_same_night,
       a.name as artifact_name, a.sha256
from ocd.verification v
join ocd.run r on r.id = v.run_id
join ocd.run b on b.id = v.backup_run_id
left join lateral (select t.artifact_name from ocd.backup_table t
                   where t.run_id = v.backup_run_id and t.dataset = v.dataset order by t.fence desc limit 1) c on true
left join ocd.artifact a on a.name = c.artifact_name and a.removed_at is null
where v.dataset = :dataset and v.is_equal and v.level >= 3
  and v.id > (select coalesce(max(w.id), 0) from ocd.verification w where w.dataset = :dataset and not w.is_equal)
order by is_same_night desc, v.verified_at desc
limit 1
