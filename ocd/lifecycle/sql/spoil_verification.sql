-- Notes that a stored file of a backup is damaged: its table is no longer proved, for a manifest no table is.
-- Returns: nothing; nothing happens for a file that is in no backup.
-- Leans on: a scan of backup_table, once per damaged file.
insert into ocd.verification (run_id, backup_run_id, backup_id, dataset, rows, content_hash, is_equal, level, reason)
select :run_id, t.run_id, m.id, t.dataset, 0, '', false, 0, :reason
from ocd.backup_table t
join ocd.artifact m on m.run_id = t.run_id and m.kind = 'backup-manifest'
  and starts_with(t.artifact_name, left(m.name, -length('manifest.json')))
where t.artifact_name = :name or m.name = :name
