-- Who may do what with facts: the grants, then the rows that each policy lets through.
grant select, insert, delete on public.facts to ocd_worker, service_role;
grant select on public.facts to ai_readonly, analytics_reader;
grant select, insert (project, topic, key, value) on public.facts to authenticated;

create policy ai_readonly_select on public.facts for select to ai_readonly
  using (true);
create policy analytics_reader_select on public.facts for select to analytics_reader
  using (true);
create policy authenticated_select on public.facts for select to authenticated
  using (project = (select auth.jwt() ->> 'project'));
create policy authenticated_insert on public.facts for insert to authenticated
  with check (project = (select auth.jwt() ->> 'project'));
-- down
drop policy ai_readonly_select on public.facts;
drop policy analytics_reader_select on public.facts;
drop policy authenticated_select on public.facts;
drop policy authenticated_insert on public.facts;
revoke all on table public.facts from ocd_worker, service_role, ai_readonly, analytics_reader, authenticated;
