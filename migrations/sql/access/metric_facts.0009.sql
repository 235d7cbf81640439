-- Who may do what with metric_facts: the grants, then the rows that each policy lets through.
revoke all on table public.metric_facts from public, anon, authenticated, service_role;
revoke all on sequence public.metric_facts_id_seq from public, anon, authenticated, service_role;
grant select, insert, update, delete on public.metric_facts to ocd_worker, service_role;
grant select on public.metric_facts to ocd_reader;

drop policy read_metrics on public.metric_facts;
create policy ocd_reader_select on public.metric_facts for select to ocd_reader
  using (true);
-- down
drop policy ocd_reader_select on public.metric_facts;
create policy read_metrics on public.metric_facts for select to ocd_reader using (true);
revoke all on table public.metric_facts from ocd_worker, service_role, ocd_reader;
grant select, insert, update, delete on public.metric_facts to ocd_worker, service_role;
grant select on public.metric_facts to ocd_reader;
