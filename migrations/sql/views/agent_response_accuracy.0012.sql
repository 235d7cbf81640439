-- How often people approved what an agent answered, over the last 30 days. What nobody reviewed says
-- nothing about accuracy. Agents that are equally good share a rank.
create view public.agent_response_accuracy with (security_invoker = true) as
select agent, queries, reviewed, approved, edited, accuracy,
       case when accuracy is null then 'nothing_reviewed' end as reason,
       edited::numeric / queries as edit_rate,
       case when accuracy is not null then rank() over (order by accuracy desc nulls last) end as place
from (
  select agent, count(*) as queries, count(approved) as reviewed, count(*) filter (where approved) as approved,
         count(*) filter (where human_edited) as edited,
         count(*) filter (where approved)::numeric / nullif(count(approved), 0) as accuracy
  from public.agent_queries
  where created_at >= now() - interval '30 days'
  group by agent
) one;
comment on view public.agent_response_accuracy is 'Share of reviewed answers that people approved, by agent, over the last 30 days.';
revoke all on table public.agent_response_accuracy from public, anon, authenticated, service_role;
grant select on public.agent_response_accuracy to monitoring_team, ocd_worker, operator_readonly, qa_team, service_role;
-- down
drop view public.agent_response_accuracy;
