-- Who may do what with observability_logs: the grants, then the rows that each policy lets through.
grant select, insert, delete on public.observability_logs to ocd_worker, service_role;
grant select on public.observability_logs to authenticated, monitoring_team, operator_readonly;

create policy authenticated_select on public.observability_logs for select to authenticated
  using (request_id = (select auth.jwt() ->> 'request_id'));
create policy monitoring_team_select on public.observability_logs for select to monitoring_team
  using (true);
create policy operator_readonly_select on public.observability_logs for select to operator_readonly
  using (true);
-- down
drop policy authenticated_select on public.observability_logs;
drop policy monitoring_team_select on public.observability_logs;
drop policy operator_readonly_select on public.observability_logs;
revoke all on table public.observability_logs from ocd_worker, service_role, authenticated, monitoring_team, operator_readonly;
