-- Notes that the messages of queued runs are gone, of all of them where :ids is null: the broker was wiped.
-- Returns: nothing; the row count is how many.
-- Leans on: run_publish_idx, run_pkey.
update ocd.run set publish_at = timestamptz '-infinity'
where state = 'queued' and publish_at > timestamptz '-infinity'
  and (cast(:ids as bigint[]) is null or id = any(cast(:ids as bigint[])))
