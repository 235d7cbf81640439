-- The backups that a purge leans on: one that deleted since `since`, or one that is not over.
-- Returns: manifests' ids; of the night of the purge, and the newest that was verified before its first batch.
-- Leans on: verification_dataset_idx, run_job_window_idx, artifact_run_id_idx; a scan of purge_chunk.
with leaning as (
  select r.window_start, c.dataset, min(c.committed_at) as first_at
  from ocd.purge_chunk c join ocd.run r on r.id = c.run_id
  where c.committed_at > :since group by r.window_start, c.dataset
  union all
  select window_start, subject ->> 'dataset', clock_timestamp() from ocd.run
  where job = 'lifecycle.purge' and kind = 'real' and state in ('waiting', 'queued', 'running')
)
select v.backup_id as id from leaning l cross join lateral (
  select backup_id from ocd.verification
  where dataset = l.dataset and is_equal and level >= 3 and verified_at <= l.first_at order by verified_at desc limit 1) v
where v.backup_id is not null
union
select a.id from leaning l
join ocd.run b on b.job = 'lifecycle.backup' and b.window_start = l.window_start
join ocd.artifact a on a.run_id = b.id and a.kind = 'backup-manifest' and a.removed_at is null
