-- Approval queue and feedback of a period.
-- Returns: one row (metric, scope, value, unit, inputs, reason) per metric.
-- Leans on: agent_approvals_created_at_idx, agent_approvals_resolved_at_idx, agent_feedback_created_at_idx.
with opened as (
  select count(*) as n from public.agent_approvals where created_at >= :start and created_at < :end
), resolved as (
  select count(*) as n, percentile_cont(0.5) within group (order by extract(epoch from resolved_at - created_at)) as p50
  from public.agent_approvals where resolved_at >= :start and resolved_at < :end
), pending as (
  -- Depth is what stood open at the end, not what is pending today.
  select count(*) as n from public.agent_approvals
  where created_at < :end and (resolved_at is null or resolved_at >= :end)
), judged as (
  select count(*) filter (where safe_to_send is not null) as n, count(*) filter (where safe_to_send is false) as unsafe
  from public.agent_feedback where created_at >= :start and created_at < :end
)
select m.metric, '' as scope, m.value, m.unit, m.inputs, case when m.value is null then m.reason end as reason
from opened, resolved, pending, judged cross join lateral (values
  ('support.approvals_opened', opened.n::numeric, 'count', jsonb_build_object('opened', opened.n), null),
  ('support.approvals_resolved', resolved.n::numeric, 'count', jsonb_build_object('resolved', resolved.n), null),
  ('support.approvals_pending', pending.n::numeric, 'count', jsonb_build_object('pending', pending.n), null),
  ('support.resolution_p50', resolved.p50::numeric, 's', jsonb_build_object('resolved', resolved.n), 'nothing_resolved'),
  ('feedback.judged', judged.n::numeric, 'count', jsonb_build_object('judged', judged.n), null),
  ('feedback.unsafe', judged.unsafe::numeric, 'count', jsonb_build_object('unsafe', judged.unsafe, 'judged', judged.n), null)
) as m (metric, value, unit, inputs, reason)
