-- Artifacts past their time that no rotation decides about, and whose rows no legal hold covers.
-- Returns: the next `size` of them behind `after`: id, name, size_bytes. Archives name their dataset in their path.
-- Leans on: artifact_expires_at_idx.
select a.id, a.name, a.size_bytes from ocd.artifact a
where a.removed_at is null and a.expires_at <= :now and a.id > :after
  and a.kind not in ('backup', 'backup-manifest')
  and not (a.kind in ('archive', 'archive-manifest') and exists (
    select 1 from ocd.legal_hold h where h.released_at is null
      and (h.dataset is null or h.dataset = split_part(a.name, '/', 2))))
order by a.id limit :size
