-- Materialized views that roles of people may read: they know no row security.
-- Returns: one row (object, detail) per view and role.
-- Leans on: pg_class is small; it is read whole.
select n.nspname || '.' || c.relname as object, coalesce(o.rolname, 'everybody') || ' may read it, and it knows no row security' as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
cross join lateral aclexplode(c.relacl) a
left join pg_roles o on o.oid = a.grantee
where n.nspname in ('public', 'landing', 'ocd') and c.relkind = 'm' and a.grantee <> c.relowner
  and a.privilege_type = 'SELECT' and not coalesce(o.rolbypassrls, false)
order by 1, 2
