-- The newest complete backup, the one of the given window first.
-- Returns: one row (id, run_id, window_start, manifest, manifest_sha256, datasets) or none.
-- Leans on: run_job_window_idx, artifact_run_id_idx, backup_table_pkey.
select a.id, r.id as run_id, r.window_start, a.name as manifest, a.sha256 as manifest_sha256,
       array(select t.dataset from ocd.backup_table t
             where t.run_id = r.id and starts_with(t.artifact_name, left(a.name, -length('manifest.json')))
             order by t.dataset) as datasets
from ocd.run r join ocd.artifact a on a.run_id = r.id and a.kind = 'backup-manifest' and a.removed_at is null
where r.job = 'lifecycle.backup' and r.state = 'done'
order by (r.window_start = :window_start) desc, r.finished_at desc, a.created_at desc
limit 1
