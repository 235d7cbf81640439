-- Every time somebody opened the panel of a shop; facts about all shops together are no shop's.
create view public.shop_sessions with (security_invoker = true) as
select id as session_id, shop_domain as shop, created_at as opened_at
from public.dashboard_facts
where fact_type = 'dashboard.session.opened' and shop_domain <> '__aggregate__';
comment on view public.shop_sessions is 'When the panel of which shop was opened.';
revoke all on table public.shop_sessions from public, anon, authenticated, service_role;
grant select on public.shop_sessions to ocd_worker, operator_readonly, service_role;
-- down
drop view public.shop_sessions;
