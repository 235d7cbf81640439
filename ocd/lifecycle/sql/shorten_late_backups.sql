-- Lets backups expire early that were at work while somebody was erased: their snapshot is of before the end, and
-- they were recorded after the beginning, so that the erasure's own look may have come too early for them.
-- Returns: one row (name) per file whose time was shortened.
-- Leans on: a scan of erasure_request, tombstone and the backups there are, once a day; artifact_run_id_idx.
with late as (
  select m.run_id, left(m.name, -length('manifest.json')) as folder,
         min(greatest(q.due_at, q.finished_at + interval '1 day')) as gone_by
  from ocd.erasure_request q
  join lateral (select min(placed_at) as began_at from ocd.tombstone where request_id = q.id) s on true
  join ocd.artifact m on m.kind = 'backup-manifest' and m.removed_at is null and m.created_at > s.began_at
  where q.finished_at is not null
    and exists (select from ocd.backup_table t
                where t.run_id = m.run_id and t.snapshot_at < q.erased_at
                  and starts_with(t.artifact_name, left(m.name, -length('manifest.json'))))
  group by m.run_id, m.name
)
update ocd.artifact a set expires_at = late.gone_by from late
where a.run_id = late.run_id and starts_with(a.name, late.folder) and a.removed_at is null
  and a.expires_at > late.gone_by
returning a.name
