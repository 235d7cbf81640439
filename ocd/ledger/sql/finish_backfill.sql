-- Ends a backfill whose every run has ended.
-- Returns: one row (id) when it ended now.
-- Leans on: backfill_pkey, run_backfill_idx.
update ocd.backfill b set finished_at = clock_timestamp()
where b.id = :id and b.finished_at is null
  and not exists (select 1 from ocd.run r where r.backfill_id = b.id and r.state in ('waiting', 'queued', 'running'))
returning b.id
