-- How each agent does now: latency of the last day, and its health by that of the last hour.
-- The quality score is 50 points for approval, 30 for answers left unedited, 20 for speed.
create view public.agent_performance_snapshot with (security_invoker = true) as
select agent, queries, latency_avg_ms, latency_p50_ms, latency_p95_ms, latency_max_ms, slow,
       approved::numeric / nullif(reviewed, 0) as approval_rate, edited::numeric / queries as edit_rate,
       round(50.0 * approved / nullif(reviewed, 0) + 30.0 * (1 - edited::numeric / queries)
         + 20.0 * case when latency_avg_ms >= 1000 then 0 else 1 - latency_avg_ms / 1000 end, 2) as quality_score,
       case when reviewed = 0 then 'nothing_reviewed' when latency_avg_ms is null then 'nothing_timed' end as reason,
       last_at, latency_last_hour_ms,
       case
         when last_at < now() - interval '1 minute' then 'idle'
         when latency_last_hour_ms > 200 then 'degraded'
         when latency_last_hour_ms > 100 then 'warning'
         else 'healthy'
       end as health
from (
  select agent, count(*) as queries, count(approved) as reviewed, count(*) filter (where approved) as approved,
         count(*) filter (where human_edited) as edited, avg(latency_ms) as latency_avg_ms,
         percentile_cont(0.5) within group (order by latency_ms) as latency_p50_ms,
         percentile_cont(0.95) within group (order by latency_ms) as latency_p95_ms,
         max(latency_ms) as latency_max_ms, count(*) filter (where latency_ms > 200) as slow,
         avg(latency_ms) filter (where created_at > now() - interval '1 hour') as latency_last_hour_ms,
         max(created_at) as last_at
  from public.agent_queries
  where created_at > now() - interval '24 hours'
  group by agent
) one;
comment on view public.agent_performance_snapshot is 'Latency, quality score and health of each agent that was asked in the last 24 hours.';
revoke all on table public.agent_performance_snapshot from public, anon, authenticated, service_role;
grant select on public.agent_performance_snapshot to monitoring_team, ocd_worker, operator_readonly, qa_team, service_role;
-- down
drop view public.agent_performance_snapshot;
