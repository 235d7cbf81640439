-- Who may do what with agent_run: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.agent_run to ocd_worker, service_role;
grant select on public.agent_run to monitoring_team, operator_readonly;

create policy monitoring_team_select on public.agent_run for select to monitoring_team
  using (true);
create policy operator_readonly_select on public.agent_run for select to operator_readonly
  using (true);
-- down
drop policy monitoring_team_select on public.agent_run;
drop policy operator_readonly_select on public.agent_run;
revoke all on table public.agent_run from ocd_worker, service_role, monitoring_team, operator_readonly;
