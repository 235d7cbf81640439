-- Adds finished runs as years of nights leave them: a hundred subjects per job and day, newest day first, of
-- which one in fifty failed.
-- Returns: nothing.
-- Leans on: nothing.
insert into ocd.run
  (job, window_start, window_end, window_label, subject, params, flow, queue, trigger, state, attempt, fence, worker,
   deadline_at, late_at, rows, evidence, error_class, error_message, created_at, queued_at, started_at, finished_at)
select job, day, day + interval '1 day', to_char(day, 'YYYY-MM-DD'), jsonb_build_object('site', site), '{}', 'night',
  'short', 'schedule', case when is_good then 'done' else 'failed' end, 1, 1, 'host:1', day + interval '34 hours',
  case when not is_good then day + interval '34 hours' end, 100, '{"type": "Report", "version": 1}',
  case when not is_good then 'SourceUnavailable' end, case when not is_good then 'no answer' end,
  day + interval '26 hours', day + interval '26 hours', day + interval '26 hours', day + interval '27 hours'
from (
  select (cast(:jobs as text[]))[1 + n % cardinality(cast(:jobs as text[]))] as job,
    date_trunc('day', clock_timestamp(), 'UTC') - make_interval(days => 1 + n / cardinality(cast(:jobs as text[])) / 100) as day,
    n / cardinality(cast(:jobs as text[])) % 100 as site, n % 50 > 0 as is_good
  from generate_series(0, :count - 1) n
) made
