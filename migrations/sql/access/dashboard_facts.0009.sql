-- Who may do what with dashboard_facts: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.dashboard_facts to ocd_worker, service_role;
grant select on public.dashboard_facts to authenticated, operator_readonly;

create policy authenticated_select on public.dashboard_facts for select to authenticated
  using (shop_domain = (select auth.jwt() ->> 'shop_domain'));
create policy operator_readonly_select on public.dashboard_facts for select to operator_readonly
  using (true);
-- down
drop policy authenticated_select on public.dashboard_facts;
drop policy operator_readonly_select on public.dashboard_facts;
revoke all on table public.dashboard_facts from ocd_worker, service_role, authenticated, operator_readonly;
