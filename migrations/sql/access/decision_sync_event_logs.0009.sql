-- Who may do what with decision_sync_event_logs: the grants, then the rows that each policy lets through.
grant select, insert, delete on public.decision_sync_event_logs to ocd_worker, service_role;
grant select on public.decision_sync_event_logs to ai_readonly, ocd_reader, operator_readonly;

create policy ai_readonly_select on public.decision_sync_event_logs for select to ai_readonly
  using (true);
create policy ocd_reader_select on public.decision_sync_event_logs for select to ocd_reader
  using (true);
create policy operator_readonly_select on public.decision_sync_event_logs for select to operator_readonly
  using (true);
-- down
drop policy ai_readonly_select on public.decision_sync_event_logs;
drop policy ocd_reader_select on public.decision_sync_event_logs;
drop policy operator_readonly_select on public.decision_sync_event_logs;
revoke all on table public.decision_sync_event_logs from ocd_worker, service_role, ai_readonly, ocd_reader, operator_readonly;
