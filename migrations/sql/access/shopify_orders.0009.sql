-- Who may do what with shopify_orders: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on landing.shopify_orders to ocd_worker;
-- down
revoke all on table landing.shopify_orders from ocd_worker;
