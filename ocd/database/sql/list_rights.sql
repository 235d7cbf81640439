-- Every right on the shop's relations, sequences, the :tables and our functions that somebody besides the owner has.
-- Returns: one row (object, role, verb, column_name) per right; column_name is '' for the whole object.
-- Leans on: pg_class, pg_attribute and pg_proc are small; they are read whole.
with relation as (
  select c.oid, n.nspname || '.' || c.relname as object, c.relowner, c.relkind, c.relacl
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where (n.nspname in ('public', 'landing') or n.nspname || '.' || c.relname = any(:tables))
    and c.relkind in ('r', 'p', 'v', 'm', 'f', 'S')
), entry as (
  select r.object, r.relowner as owner, a.grantee, a.privilege_type, '' as column_name
  from relation r
  cross join lateral aclexplode(coalesce(r.relacl,
    acldefault(cast(case r.relkind when 'S' then 's' else 'r' end as "char"), r.relowner))) a
  union all
  select r.object, r.relowner, a.grantee, a.privilege_type, t.attname
  from relation r join pg_attribute t on t.attrelid = r.oid and t.attnum > 0 and not t.attisdropped
  cross join lateral aclexplode(t.attacl) a
  union all
  select n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')',
         p.proowner, a.grantee, a.privilege_type, ''
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  where n.nspname in ('public', 'landing', 'ocd')
    and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
)
select e.object, coalesce(o.rolname, 'public') as role, lower(e.privilege_type) as verb, e.column_name
from entry e left join pg_roles o on o.oid = e.grantee
where e.grantee <> e.owner
order by 1, 2, 3, 4
