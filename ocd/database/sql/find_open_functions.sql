-- Functions that run as their owner and that callers from outside may execute.
-- Returns: one row (object, detail) per function and role.
-- Leans on: pg_proc is small; it is read whole.
select p.oid::regprocedure::text as object, 'runs as its owner, and ' || coalesce(o.rolname, 'everybody') || ' may call it' as detail
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
left join pg_roles o on o.oid = a.grantee
where n.nspname in ('public', 'landing', 'ocd') and p.prosecdef and a.grantee <> p.proowner
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by 1, 2
