-- Who may do what with shopify_inventory: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on landing.shopify_inventory to ocd_worker;
grant select on landing.shopify_inventory to ocd_reader;

create policy ocd_reader_select on landing.shopify_inventory for select to ocd_reader
  using (true);
-- down
drop policy ocd_reader_select on landing.shopify_inventory;
revoke all on table landing.shopify_inventory from ocd_worker, ocd_reader;
