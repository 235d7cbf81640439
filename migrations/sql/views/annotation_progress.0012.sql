-- How far the judging of each of the last 30 days' drafts has come. Days are those of the session's
-- time zone; a day without drafts has no share.
create view public.annotation_progress with (security_invoker = true) as
select d.day::date as day, made.drafts, made.judged, made.drafts - made.judged as unjudged,
       made.judged::numeric / nullif(made.drafts, 0) as judged_share,
       case when made.drafts = 0 then 'no_drafts' end as reason, made.annotators
from generate_series(date_trunc('day', now()) - interval '29 days', date_trunc('day', now()), interval '1 day') as d (day)
cross join lateral (
  select count(*) as drafts, count(f.safe_to_send) as judged,
         count(distinct f.annotator) filter (where f.safe_to_send is not null) as annotators
  from public.agent_feedback f
  where f.created_at >= d.day and f.created_at < d.day + interval '1 day'
) made;
comment on view public.annotation_progress is 'Drafts made and judged on each of the last 30 days.';
revoke all on table public.annotation_progress from public, anon, authenticated, service_role;
grant select on public.annotation_progress to annotator, ocd_worker, qa_team, service_role;
-- down
drop view public.annotation_progress;
