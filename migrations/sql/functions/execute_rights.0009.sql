-- A function is everybody's until somebody says otherwise; triggers fire without the right.
revoke execute on function ocd.touch_updated_at(), ocd.set_resolved_at() from public;
grant execute on function public.approve_gold_reply(bigint, text) to ocd_worker, service_role;
-- down
revoke execute on function public.approve_gold_reply(bigint, text) from ocd_worker, service_role;
grant execute on function ocd.touch_updated_at(), ocd.set_resolved_at() to public;
