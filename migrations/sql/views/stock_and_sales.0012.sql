-- Stock of each variant and units sold of it, one below the other: whoever asks for both by stock number
-- and time reads only the sales of that time. Cancelled and test orders sold nothing.
-- `offset 0` keeps the lines behind their orders: a hash join would read every line there ever was.
create view landing.stock_and_sales with (security_invoker = true) as
select 'stock ' || i.id as movement_key, i.sku as item, i.fetched_at as seen_at,
       greatest(coalesce(i.quantity, 0), 0) as stock,
       lower(coalesce(i.inventory_policy, 'deny')) <> 'continue' as is_limited,
       null::integer as units, null::timestamptz as sold_at
from landing.shopify_inventory i
where i.sku is not null
union all
select 'sale ' || l.id, l.sku, l.fetched_at, null, false, l.quantity, o.created_at
from landing.shopify_orders o
cross join lateral (
  select id, sku, fetched_at, quantity from landing.shopify_order_lines
  where shop_domain = o.shop_domain and order_id = o.order_id and sku is not null and quantity > 0 offset 0
) l
where o.cancelled_at is null and o.is_test is not true;
comment on view landing.stock_and_sales is 'Stock of each variant and units sold, by stock number.';
revoke all on table landing.stock_and_sales from public, anon, authenticated, service_role;
grant select on landing.stock_and_sales to ocd_worker;
-- down
drop view landing.stock_and_sales;
