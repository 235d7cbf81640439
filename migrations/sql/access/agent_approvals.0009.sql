-- Who may do what with agent_approvals: the grants, then the rows that each policy lets through.
revoke all on table public.agent_approvals from public, anon, authenticated, service_role;
do $$ declare s text := pg_get_serial_sequence('public.agent_approvals', 'id'); begin
  if s is not null then
    execute format('revoke all on sequence %s from public, anon, authenticated, service_role', s);
    execute format('grant usage, select on sequence %s to ocd_worker, service_role', s);
  end if;
end $$;
grant select, insert, update, delete on public.agent_approvals to ocd_worker, service_role;
grant select on public.agent_approvals to authenticated, operator_readonly;

drop policy own_conversation on public.agent_approvals;
create policy authenticated_select on public.agent_approvals for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
create policy operator_readonly_select on public.agent_approvals for select to operator_readonly
  using (true);
-- down
drop policy authenticated_select on public.agent_approvals;
drop policy operator_readonly_select on public.agent_approvals;
create policy own_conversation on public.agent_approvals for select to authenticated
  using (conversation_id = (select auth.jwt() ->> 'conversation_id'));
revoke all on table public.agent_approvals from ocd_worker, service_role, authenticated, operator_readonly;
grant select on public.agent_approvals to authenticated;
grant select, insert, update, delete on public.agent_approvals to ocd_worker, service_role;
