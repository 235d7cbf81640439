-- Returns: what the key figures of the period say, beside what the rows that they were made from say now.
-- Grain: one row per figure that was computed.
-- Leans on: metric_facts_metric_scope_period_start_period_end_key, and each table's index on its instant.
select fact.metric as item, fact.value as left_value, now.value as right_value
from public.metric_facts fact
join (
  select 'agent_queries' as metric, (select count(*) from public.agent_queries where created_at >= :start and created_at < :end) as value
  union all
  select 'feedback_drafts', (select count(*) from public.agent_feedback where created_at >= :start and created_at < :end)
  union all
  select 'support_approvals_opened', (select count(*) from public.agent_approvals where created_at >= :start and created_at < :end)
) now using (metric)
where fact.scope = '' and fact.period_start = :start and fact.period_end = :end
order by 1
