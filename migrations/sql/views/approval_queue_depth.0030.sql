-- What came into the approval queue and left it on each of the last 30 days, and what stood open at
-- each day's end: what was open when the first day began, and every coming and going since.
-- Days are those of the session's time zone. One decided at an instant nobody wrote down was never open.
-- A day begins a microsecond after the last one of the day before: where clocks change at midnight,
-- its own 00:00 is no instant or two.
create view public.approval_queue_depth with (security_invoker = true) as
with day as (
  select current_date - n as day from generate_series(0, 29) as n
), before as (
  select count(*) as pending from public.agent_approvals
  where created_at < (current_date - 29 - interval '1 microsecond')::timestamptz + interval '1 microsecond'
    and (status = 'pending'
      or resolved_at >= (current_date - 29 - interval '1 microsecond')::timestamptz + interval '1 microsecond')
), opened as (
  select created_at::date as day, count(*) as n,
         count(*) filter (where status = 'pending' or resolved_at is not null) as tracked
  from public.agent_approvals
  where created_at >= (current_date - 29 - interval '1 microsecond')::timestamptz + interval '1 microsecond'
  group by 1
), resolved as (
  select resolved_at::date as day, count(*) as n
  from public.agent_approvals
  where resolved_at >= (current_date - 29 - interval '1 microsecond')::timestamptz + interval '1 microsecond'
  group by 1
)
select day.day, coalesce(opened.n, 0) as opened, coalesce(resolved.n, 0) as resolved,
       (before.pending
         + sum(coalesce(opened.tracked, 0) - coalesce(resolved.n, 0)) over (order by day.day))::bigint as pending
from day cross join before
left join opened on opened.day = day.day
left join resolved on resolved.day = day.day;
comment on view public.approval_queue_depth is 'Approvals opened, resolved and still pending at the end of each of the last 30 days.';
revoke all on table public.approval_queue_depth from public, anon, authenticated, service_role;
grant select on public.approval_queue_depth to ocd_worker, operator_readonly, service_role;
-- down
drop view public.approval_queue_depth;
