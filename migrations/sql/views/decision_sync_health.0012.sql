-- How the syncs of decisions of the last 7 days went, by scope, and how long ago one last succeeded.
-- A sync whose status nobody knows is neither a success nor a failure.
create view public.decision_sync_health with (security_invoker = true) as
select scope, count(*) as attempts, count(*) filter (where status = 'success') as succeeded,
       count(*) filter (where status = 'failure') as failed, count(*) filter (where status = 'unknown') as unknown,
       count(*) filter (where status = 'failure')::numeric
         / nullif(count(*) filter (where status in ('success', 'failure')), 0) as failure_rate,
       case when count(*) filter (where status in ('success', 'failure')) = 0 then 'nothing_known' end as reason,
       percentile_cont(0.5) within group (order by duration_ms) as duration_p50_ms,
       percentile_cont(0.95) within group (order by duration_ms) as duration_p95_ms,
       max(created_at) as last_at, max(created_at) filter (where status = 'success') as last_success_at
from public.decision_sync_event_logs
where created_at >= now() - interval '7 days'
group by scope;
comment on view public.decision_sync_health is 'Successes, failures and durations of decision syncs of the last 7 days, by scope.';
revoke all on table public.decision_sync_health from public, anon, authenticated, service_role;
grant select on public.decision_sync_health to ocd_reader, ocd_worker, operator_readonly, service_role;
-- down
drop view public.decision_sync_health;
