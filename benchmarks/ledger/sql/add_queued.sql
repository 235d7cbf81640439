-- Adds queued runs as a large backfill leaves them: old days, a hundred subjects each, each sent to the broker once
-- and due to be sent again in an hour.
-- Returns: one row (id) per run.
-- Leans on: nothing.
insert into ocd.run
  (job, window_start, window_end, window_label, subject, queue, trigger, state, created_at, queued_at, publish_at)
select :job, day, day + interval '1 day', to_char(day, 'YYYY-MM-DD'), jsonb_build_object('part', n + :first), 'short',
  'backfill', 'queued', clock_timestamp() - interval '1 hour', clock_timestamp() - interval '1 hour',
  clock_timestamp() + interval '1 hour'
from (
  select n, date_trunc('day', clock_timestamp(), 'UTC') - make_interval(days => 2000 + n / 100) as day
  from generate_series(0, :count - 1) n
) made
returning id
