-- How far the judging of each of the last 30 days' drafts has come. Days are those of the session's
-- time zone; a day without drafts has no share.
-- A day begins a microsecond after the last one of the day before: where clocks change at midnight,
-- its own 00:00 is no instant or two.
create view public.annotation_progress with (security_invoker = true) as
select day.day, coalesce(made.drafts, 0) as drafts, coalesce(made.judged, 0) as judged,
       coalesce(made.drafts - made.judged, 0) as unjudged, made.judged::numeric / made.drafts as judged_share,
       case when made.drafts is null then 'no_drafts' end as reason, coalesce(made.annotators, 0) as annotators
from (select current_date - n as day from generate_series(0, 29) as n) day
left join (
  select created_at::date as day, count(*) as drafts, count(safe_to_send) as judged,
         count(distinct annotator) filter (where safe_to_send is not null) as annotators
  from public.agent_feedback
  where created_at >= (current_date - 29 - interval '1 microsecond')::timestamptz + interval '1 microsecond'
  group by 1
) made on made.day = day.day;
comment on view public.annotation_progress is 'Drafts made and judged on each of the last 30 days.';
revoke all on table public.annotation_progress from public, anon, authenticated, service_role;
grant select on public.annotation_progress to annotator, ocd_worker, qa_team, service_role;
-- down
drop view public.annotation_progress;
