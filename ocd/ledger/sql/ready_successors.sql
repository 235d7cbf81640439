-- Readies the waiting runs among :ids whose every step before them is done. The rows are locked already, so
-- this statement's own snapshot sees what every earlier step committed.
-- Returns: one row (id) per run that became ready.
-- Leans on: run_dependency_pkey, run_pkey.
update ocd.run r
set state = 'queued', queued_at = clock_timestamp(), publish_at = clock_timestamp()
where r.id = any(:ids) and r.state = 'waiting' and r.not_before is null and r.backfill_id is null
  and not exists (
    select 1 from ocd.run_dependency o join ocd.run b on b.id = o.depends_on_id
    where o.run_id = r.id and b.state <> 'done')
returning r.id
