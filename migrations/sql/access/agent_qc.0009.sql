-- Who may do what with agent_qc: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.agent_qc to ocd_worker, service_role;
grant select on public.agent_qc to monitoring_team, operator_readonly, qa_team;

create policy monitoring_team_select on public.agent_qc for select to monitoring_team
  using (true);
create policy operator_readonly_select on public.agent_qc for select to operator_readonly
  using (true);
create policy qa_team_select on public.agent_qc for select to qa_team
  using (true);
-- down
drop policy monitoring_team_select on public.agent_qc;
drop policy operator_readonly_select on public.agent_qc;
drop policy qa_team_select on public.agent_qc;
revoke all on table public.agent_qc from ocd_worker, service_role, monitoring_team, operator_readonly, qa_team;
