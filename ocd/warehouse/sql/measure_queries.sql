-- Agent metrics of a period, per agent and over all ('').
-- Returns: one row (metric, scope, value, unit, inputs, reason) per metric and scope; the total also
-- where nothing was asked.
-- Leans on: agent_queries_created_at_idx.
with named as (
  -- The empty name is the total's.
  select coalesce(nullif(btrim(agent), ''), '(none)') as agent, approved, human_edited, latency_ms
  from public.agent_queries
  where created_at >= :start and created_at < :end
), q as (
  select coalesce(agent, '') as scope, count(*) as n,
         count(*) filter (where approved is not null) as reviewed, count(*) filter (where approved) as approved,
         count(*) filter (where human_edited) as edited,
         count(latency_ms) as timed, count(*) filter (where latency_ms > :slow_ms) as slow,
         percentile_cont(0.5) within group (order by latency_ms) as p50,
         percentile_cont(0.95) within group (order by latency_ms) as p95
  from named
  group by grouping sets ((agent), ())
)
select m.metric, q.scope, m.value::numeric, m.unit, m.inputs, case when m.value is null then m.reason end as reason
from q cross join lateral (values
  ('agent.queries', q.n::numeric, 'count', jsonb_build_object('queries', q.n), null),
  ('agent.approval_rate', q.approved::numeric / nullif(q.reviewed, 0), 'ratio',
   jsonb_build_object('approved', q.approved, 'reviewed', q.reviewed), 'nothing_reviewed'),
  ('agent.edit_rate', q.edited::numeric / nullif(q.n, 0), 'ratio',
   jsonb_build_object('edited', q.edited, 'queries', q.n), 'no_queries'),
  ('agent.slow_queries', q.slow::numeric, 'count',
   jsonb_build_object('slow', q.slow, 'timed', q.timed, 'slower_than_ms', cast(:slow_ms as integer)), null),
  ('agent.latency_p50', q.p50::numeric, 'ms', jsonb_build_object('timed', q.timed, 'queries', q.n),
   case when q.n = 0 then 'no_queries' else 'nothing_timed' end),
  ('agent.latency_p95', q.p95::numeric, 'ms', jsonb_build_object('timed', q.timed, 'queries', q.n),
   case when q.n = 0 then 'no_queries' else 'nothing_timed' end)
) as m (metric, value, unit, inputs, reason)
