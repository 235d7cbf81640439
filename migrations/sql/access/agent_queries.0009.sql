-- Who may do what with agent_queries: the grants, then the rows that each policy lets through.
revoke all on table public.agent_queries from public, anon, authenticated, service_role;
do $$ declare s text := pg_get_serial_sequence('public.agent_queries', 'id'); begin
  if s is not null then
    execute format('revoke all on sequence %s from public, anon, authenticated, service_role', s);
    execute format('grant usage, select on sequence %s to ocd_worker, service_role', s);
  end if;
end $$;
grant select, insert, update, delete on public.agent_queries to ocd_worker, service_role;
grant select on public.agent_queries to authenticated, monitoring_team, operator_readonly, qa_team;

drop policy own_conversation on public.agent_queries;
create policy authenticated_select on public.agent_queries for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
create policy monitoring_team_select on public.agent_queries for select to monitoring_team
  using (true);
create policy operator_readonly_select on public.agent_queries for select to operator_readonly
  using (true);
create policy qa_team_select on public.agent_queries for select to qa_team
  using (true);
-- down
drop policy authenticated_select on public.agent_queries;
drop policy monitoring_team_select on public.agent_queries;
drop policy operator_readonly_select on public.agent_queries;
drop policy qa_team_select on public.agent_queries;
create policy own_conversation on public.agent_queries for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
revoke all on table public.agent_queries from ocd_worker, service_role, authenticated, monitoring_team, operator_readonly, qa_team;
grant select on public.agent_queries to authenticated;
grant select, insert, update, delete on public.agent_queries to ocd_worker, service_role;
