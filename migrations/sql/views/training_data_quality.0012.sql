-- What the drafts of the last 30 days are worth as training data, by the model that wrote them.
-- A mark that is no number from 1 to 5 counts as none.
create view public.training_data_quality with (security_invoker = true) as
select coalesce(meta ->> 'model_version', '(none)') as model_version, count(*) as drafts,
       count(safe_to_send) as judged, count(*) filter (where safe_to_send) as safe,
       count(*) filter (where safe_to_send is false) as unsafe,
       count(*) filter (where safe_to_send)::numeric / nullif(count(safe_to_send), 0) as safe_share,
       case when count(safe_to_send) = 0 then 'nothing_judged' end as reason,
       avg(case when rubric ->> 'clarity' ~ '^[1-5]$' then (rubric ->> 'clarity')::numeric end) as clarity,
       avg(case when rubric ->> 'accuracy' ~ '^[1-5]$' then (rubric ->> 'accuracy')::numeric end) as accuracy,
       avg(case when rubric ->> 'tone' ~ '^[1-5]$' then (rubric ->> 'tone')::numeric end) as tone,
       count(*) filter (where 'helpful' = any(labels)) as helpful,
       count(*) filter (where 'accurate' = any(labels)) as accurate,
       count(*) filter (where 'risky' = any(labels)) as risky,
       count(*) filter (where 'needs_improvement' = any(labels)) as needs_improvement
from public.agent_feedback
where created_at >= now() - interval '30 days'
group by 1;
comment on view public.training_data_quality is 'Judgements, marks and labels of the drafts of the last 30 days, by model version.';
revoke all on table public.training_data_quality from public, anon, authenticated, service_role;
grant select on public.training_data_quality to annotator, ocd_worker, qa_team, service_role;
-- down
drop view public.training_data_quality;
