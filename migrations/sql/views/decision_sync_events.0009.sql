-- Decision syncs, newest first, in the names that the panel uses. Who reads the table reads the view.
create view public.decision_sync_events with (security_invoker = true) as
select decision_id as "decisionId", status, duration_ms as "durationMs", error_code as "errorCode",
       attempt, created_at as "timestamp", scope
from public.decision_sync_event_logs
order by created_at desc;
comment on view public.decision_sync_events is 'Attempts to carry a decision to the outside, newest first.';
revoke all on table public.decision_sync_events from public, anon, authenticated, service_role;
grant select on public.decision_sync_events
  to ai_readonly, ocd_reader, ocd_worker, operator_readonly, service_role;
-- down
drop view public.decision_sync_events;
