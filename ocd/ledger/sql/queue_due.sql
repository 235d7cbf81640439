-- Queues the runs whose hour has come.
-- Safe to run twice at once: each row is taken by one sweep.
-- Returns: one row (id) per run.
-- Leans on: run_not_before_idx.
-- The bound is statement_timestamp(): a volatile clock_timestamp() would be asked row by row, for the whole index.
with due as (
  select id from ocd.run
  where state = 'waiting' and not_before <= statement_timestamp()
  order by not_before
  limit :limit
  for update skip locked
)
update ocd.run r
set state = 'queued', not_before = null, queued_at = clock_timestamp(), publish_at = timestamptz '-infinity'
from due where r.id = due.id
returning r.id
