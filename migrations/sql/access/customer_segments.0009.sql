-- Who may do what with customer_segments: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.customer_segments to ocd_worker, service_role;
grant select on public.customer_segments to analytics_reader;

create policy analytics_reader_select on public.customer_segments for select to analytics_reader
  using (true);
-- down
drop policy analytics_reader_select on public.customer_segments;
revoke all on table public.customer_segments from ocd_worker, service_role, analytics_reader;
