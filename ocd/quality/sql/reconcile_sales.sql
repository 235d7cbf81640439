-- Returns: the sales that the key figure of the period was computed from, beside those of the mirror now.
-- Grain: one row, none where the figure was not computed.
-- Leans on: metric_facts_metric_scope_period_start_period_end_key, shopify_orders_created_at_idx.
select 'sales_last_24h' as item, cast(fact.inputs ->> 'sales_last_24h' as numeric) as left_value,
  (
    select coalesce(sum(total_amount), 0) from landing.shopify_orders
    where created_at >= cast(:end as timestamptz) - interval '24 hours' and created_at < :end
      and cancelled_at is null and is_test is not true
  ) as right_value
from public.metric_facts fact
where fact.metric = 'sales_delta_24h' and fact.scope = '' and fact.period_start = :start and fact.period_end = :end
  and fact.inputs ? 'sales_last_24h'
