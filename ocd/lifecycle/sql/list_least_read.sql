-- Backups and archives in the store, those first that were not read for the longest time.
-- Returns: id, kind, name, sha256, size_bytes each.
-- Leans on: a scan of artifact once a week.
select id, kind, name, sha256, size_bytes from ocd.artifact
where removed_at is null and created_at < :before
  and kind in ('backup', 'backup-manifest', 'archive', 'archive-manifest')
order by coalesce(reread_at, created_at), id
limit 10000
