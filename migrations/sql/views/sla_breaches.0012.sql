-- Every breach of a conversation's deadline once, however many refreshes repeat it, with the first ops
-- decision about the conversation made at the breach or later. An instant without a zone is none.
create view public.sla_breaches with (security_invoker = true) as
select b.conversation_id || ' ' || b.breached_at as breach_key, b.conversation_id, b.breached_at,
       (select min(d.created_at) from public.decision_log d
        where d.external_ref = 'chatwoot:' || b.conversation_id and d.scope = 'ops' and d.created_at >= b.breached_at) as acted_at
from (
  select distinct one.breach ->> 'conversationId' as conversation_id, (one.breach ->> 'breachedAt')::timestamptz as breached_at
  from public.dashboard_facts f
  cross join lateral jsonb_array_elements(
    case when jsonb_typeof(f.metadata -> 'breaches') = 'array' then f.metadata -> 'breaches' else '[]' end) as one (breach)
  where f.fact_type = 'chatwoot.escalations' and one.breach ->> 'conversationId' is not null
    and one.breach ->> 'breachedAt'
      ~ '^\d{4}-(0[1-9]|1[0-2])-(0[1-9]|[12]\d|3[01])T([01]\d|2[0-3])(:[0-5]\d){1,2}([.]\d+)?(Z|[+-]\d\d:?\d\d)$'
) b;
comment on view public.sla_breaches is 'Breaches of deadlines, each once, with the first decision that followed.';
revoke all on table public.sla_breaches from public, anon, authenticated, service_role;
grant select on public.sla_breaches to ocd_worker, operator_readonly, service_role;
-- down
drop view public.sla_breaches;
