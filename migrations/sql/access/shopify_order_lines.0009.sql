-- Who may do what with shopify_order_lines: the grants, then the rows that each policy lets through.
grant select, insert, update, delete on landing.shopify_order_lines to ocd_worker;
-- down
revoke all on table landing.shopify_order_lines from ocd_worker;
