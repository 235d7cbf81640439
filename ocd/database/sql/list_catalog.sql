-- Everything that a migration may leave in the catalog, in words that are the same whoever owns it:
-- rights are listed per role without their giver, and the owner's own are left out.
-- Returns: one row (object, line) per object; equal lines, equal schema. `object` is the relation, function or
-- schema that the line is about.
-- Leans on: the catalogs are small; they are read whole.
with relation as (
  select n.nspname || '.' || c.relname as name, c.*
  from pg_class c join pg_namespace n on n.oid = c.relnamespace
  where n.nspname in ('ocd', 'landing', 'public')
    and not exists (select from pg_depend d where d.classid = 'pg_class'::regclass and d.objid = c.oid and d.deptype = 'e')
), routine as (
  select n.nspname || '.' || p.proname || '(' || pg_get_function_identity_arguments(p.oid) || ')' as name, p.*
  from pg_proc p join pg_namespace n on n.oid = p.pronamespace
  where n.nspname in ('ocd', 'landing', 'public') and p.prokind = 'f'
    and not exists (select from pg_depend d where d.classid = 'pg_proc'::regclass and d.objid = p.oid and d.deptype = 'e')
), entry as (
  select r.name, r.relowner as owner, a.grantee, a.privilege_type, '' as part
  from relation r cross join lateral aclexplode(r.relacl) a
  where r.relkind in ('r', 'p', 'v', 'm', 'S')
  union all
  select r.name, r.relowner, a.grantee, a.privilege_type, t.attname
  from relation r join pg_attribute t on t.attrelid = r.oid and t.attnum > 0 and not t.attisdropped
  cross join lateral aclexplode(t.attacl) a
  union all
  select p.name, p.proowner, a.grantee, a.privilege_type, ''
  from routine p cross join lateral aclexplode(coalesce(p.proacl, acldefault('f', p.proowner))) a
  union all
  select n.nspname, n.nspowner, a.grantee, a.privilege_type, ''
  from pg_namespace n cross join lateral aclexplode(n.nspacl) a where n.nspname in ('ocd', 'landing')
)
select r.name as object, 'column ' || r.name || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || case when a.attnotnull then ' not null' else '' end
       || case a.attidentity when 'a' then ' identity always' when 'd' then ' identity by default' else '' end
       || coalesce(' default ' || pg_get_expr(d.adbin, d.adrelid), '')
       || coalesce(' -- ' || col_description(r.oid, a.attnum), '') as line
from relation r join pg_attribute a on a.attrelid = r.oid and a.attnum > 0 and not a.attisdropped
left join pg_attrdef d on d.adrelid = r.oid and d.adnum = a.attnum
where r.relkind in ('r', 'p', 'v', 'm')
union all
select r.name, case r.relkind when 'v' then 'view ' when 'm' then 'materialized view ' else 'table ' end || r.name
       || ' rls=' || r.relrowsecurity || ' force=' || r.relforcerowsecurity
       || ' options=' || coalesce(array_to_string(r.reloptions, ','), '')
       || coalesce(' -- ' || obj_description(r.oid, 'pg_class'), '')
from relation r where r.relkind in ('r', 'p', 'v', 'm')
union all
select r.name, 'definition ' || r.name || ' ' || regexp_replace(pg_get_viewdef(r.oid), '\s+', ' ', 'g')
from relation r where r.relkind in ('v', 'm')
union all
select t.name, 'index ' || pg_get_indexdef(i.indexrelid) || case when i.indisvalid then '' else ' INVALID' end
from pg_index i join relation t on t.oid = i.indrelid
union all
select t.name, 'constraint ' || t.name || ' ' || o.conname || ' ' || pg_get_constraintdef(o.oid)
       || case when o.convalidated then '' else ' NOT VALIDATED' end
from pg_constraint o join relation t on t.oid = o.conrelid
where o.contype in ('c', 'f', 'p', 'u', 'x')
union all
select t.name, 'trigger ' || pg_get_triggerdef(g.oid) || ' enabled=' || g.tgenabled::text
from pg_trigger g join relation t on t.oid = g.tgrelid where not g.tgisinternal
union all
select p.schemaname || '.' || p.tablename, 'policy ' || p.schemaname || '.' || p.tablename || ' ' || p.policyname
       || ' ' || p.permissive || ' ' || array_to_string(p.roles, ',') || ' ' || p.cmd
       || regexp_replace(coalesce(' using ' || p.qual, '') || coalesce(' check ' || p.with_check, ''), '\s+', ' ', 'g')
from pg_policies p where p.schemaname in ('ocd', 'landing', 'public')
union all
select p.name, 'function ' || p.name || ' returns ' || pg_get_function_result(p.oid) || ' volatile=' || p.provolatile::text
       || ' definer=' || p.prosecdef || ' settings=' || coalesce(array_to_string(p.proconfig, ','), '')
       || ' body=' || md5(p.prosrc)
from routine p
union all
select e.name, 'grant ' || e.name || case e.part when '' then '' else '.' || e.part end || ' to '
       || coalesce(o.rolname, 'public') || ': ' || string_agg(lower(e.privilege_type), ', ' order by e.privilege_type)
from entry e left join pg_roles o on o.oid = e.grantee
where e.grantee <> e.owner
group by e.name, e.part, o.rolname
order by 2
