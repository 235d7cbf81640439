-- What came into the approval queue and left it on each of the last 30 days, and what stood open at
-- each day's end: what was open when the first day began, and every coming and going since.
-- Days are those of the session's time zone. One decided at an instant nobody wrote down was never open.
create view public.approval_queue_depth with (security_invoker = true) as
with day as (
  select d as starts_at
  from generate_series(date_trunc('day', now()) - interval '29 days', date_trunc('day', now()), interval '1 day') as d
), before as (
  select count(*) as pending from public.agent_approvals
  where created_at < date_trunc('day', now()) - interval '29 days'
    and (status = 'pending' or resolved_at >= date_trunc('day', now()) - interval '29 days')
), opened as (
  select date_trunc('day', created_at) as starts_at, count(*) as n,
         count(*) filter (where status = 'pending' or resolved_at is not null) as tracked
  from public.agent_approvals where created_at >= date_trunc('day', now()) - interval '29 days' group by 1
), resolved as (
  select date_trunc('day', resolved_at) as starts_at, count(*) as n
  from public.agent_approvals where resolved_at >= date_trunc('day', now()) - interval '29 days' group by 1
)
select day.starts_at::date as day, coalesce(opened.n, 0) as opened, coalesce(resolved.n, 0) as resolved,
       (before.pending
         + sum(coalesce(opened.tracked, 0) - coalesce(resolved.n, 0)) over (order by day.starts_at))::bigint as pending
from day cross join before
left join opened on opened.starts_at = day.starts_at
left join resolved on resolved.starts_at = day.starts_at;
comment on view public.approval_queue_depth is 'Approvals opened, resolved and still pending at the end of each of the last 30 days.';
revoke all on table public.approval_queue_depth from public, anon, authenticated, service_role;
grant select on public.approval_queue_depth to ocd_worker, operator_readonly, service_role;
-- down
drop view public.approval_queue_depth;
