-- Note that an archive was written anew, for the chunk whose newest object is :old.
-- Returns: one row (run_id, expires_at): the chunk's purge run, and until when the old object was kept.
-- Leans on: artifact_name_key, purge_chunk_pkey, archive_rewrite_pkey.
with replaced as (
  select c.run_id, c.generation, c.number, a.expires_at
  from ocd.artifact a
  join ocd.purge_chunk c on c.run_id = a.run_id
  left join lateral (select w.archive from ocd.archive_rewrite w
                     where w.run_id = c.run_id and w.generation = c.generation and w.number = c.number
                     order by w.request_id desc limit 1) w on true
  where a.name = :old and coalesce(w.archive, c.archive) = :old
), noted as (
  insert into ocd.archive_rewrite
    (run_id, generation, number, request_id, rows, removed, archive, stored_bytes, raw_sha256, stored_sha256)
  select run_id, generation, number, :request_id, :rows, :removed, :archive, :stored_bytes, :raw_sha256, :stored_sha256
  from replaced
  returning run_id
)
select replaced.run_id, replaced.expires_at from replaced join noted using (run_id)
