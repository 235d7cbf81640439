-- Every backup that lies in the store, and how its last proof went.
-- Returns: one row per manifest, newest first: id, run_id, window_label, manifest, taken_at, expires_at, tables,
-- rows, stored_bytes, verified_at, is_equal, level, restore_s; the last four are null where it was never verified.
-- Leans on: artifact_run_id_idx, backup_table_pkey, verification_backup_id_idx, run_pkey.
select a.id, a.run_id, r.window_label, a.name as manifest, t.taken_at, a.expires_at, t.tables, t.rows,
       a.size_bytes + t.stored_bytes as stored_bytes, v.verified_at, v.is_equal, v.level, v.restore_s
from ocd.artifact a
join ocd.run r on r.id = a.run_id
cross join lateral (
  select coalesce(min(b.snapshot_at), a.created_at) as taken_at, count(*) as tables,
         coalesce(sum(b.rows), 0)::bigint as rows, coalesce(sum(p.size_bytes), 0)::bigint as stored_bytes
  from ocd.backup_table b left join ocd.artifact p on p.name = b.artifact_name
  where b.run_id = a.run_id and starts_with(b.artifact_name, left(a.name, -length('manifest.json')))
) t
left join lateral (
  select max(w.verified_at) as verified_at, bool_and(w.is_equal) as is_equal, min(w.level) as level,
         (select (s.evidence ->> 'restore_s')::float8 from ocd.run s where s.id = w.run_id) as restore_s
  from ocd.verification w where w.backup_id = a.id group by w.run_id order by max(w.verified_at) desc limit 1
) v on true
where a.kind = 'backup-manifest' and a.removed_at is null
order by t.taken_at desc, a.id desc
