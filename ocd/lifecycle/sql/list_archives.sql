-- What purges archived and is still kept, as it stands now: a chunk that was rewritten counts as its newest rewrite.
-- Returns: one row (run_id, generation, number, dataset, rows, archive, stored_sha256, raw_sha256, committed_at,
-- expires_at, manifest) per chunk, oldest first; manifest is null where the archive was never sealed.
-- Leans on: purge_chunk_pkey, archive_rewrite_pkey, artifact_name_key, artifact_run_id_idx.
select c.run_id, c.generation, c.number, c.dataset, coalesce(w.rows, c.rows) as rows,
       coalesce(w.archive, c.archive) as archive, coalesce(w.stored_sha256, c.stored_sha256) as stored_sha256,
       coalesce(w.raw_sha256, c.raw_sha256) as raw_sha256, c.committed_at, a.expires_at,
       (select m.name from ocd.artifact m
        where m.run_id = c.run_id and m.kind = 'archive-manifest'
          and m.name like '%-g' || c.generation || '.manifest.json' limit 1) as manifest
from ocd.purge_chunk c
left join lateral (select r.rows, r.archive, r.stored_sha256, r.raw_sha256 from ocd.archive_rewrite r
                   where r.run_id = c.run_id and r.generation = c.generation and r.number = c.number
                   order by r.request_id desc limit 1) w on true
join ocd.artifact a on a.name = coalesce(w.archive, c.archive) and a.removed_at is null
where (cast(:run_id as bigint) is null or c.run_id = :run_id)
  and (cast(:dataset as text) is null or c.dataset = :dataset)
order by c.committed_at, c.run_id, c.generation, c.number
