-- Who may do what with product_categories: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on public.product_categories to ocd_worker, service_role;
grant select on public.product_categories to analytics_reader, operator_readonly;

create policy analytics_reader_select on public.product_categories for select to analytics_reader
  using (true);
create policy operator_readonly_select on public.product_categories for select to operator_readonly
  using (true);
-- down
drop policy analytics_reader_select on public.product_categories;
drop policy operator_readonly_select on public.product_categories;
revoke all on table public.product_categories from ocd_worker, service_role, analytics_reader, operator_readonly;
