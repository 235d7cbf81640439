-- Everything a migration may leave in the catalog, one line per object; equal lines, equal schema.
select 'column ' || n.nspname || '.' || c.relname || '.' || a.attname || ' ' || format_type(a.atttypid, a.atttypmod)
       || case when a.attnotnull then ' not null' else '' end || coalesce(' ' || pg_get_expr(d.adbin, d.adrelid), '')
from pg_attribute a join pg_class c on c.oid = a.attrelid join pg_namespace n on n.oid = c.relnamespace
left join pg_attrdef d on d.adrelid = c.oid and d.adnum = a.attnum
where n.nspname in ('ocd', 'landing', 'public', 'auth') and a.attnum > 0 and not a.attisdropped and c.relkind in ('r', 'v', 'm', 'p')
union all
select 'table ' || n.nspname || '.' || c.relname || ' rls=' || c.relrowsecurity || ' force=' || c.relforcerowsecurity
       || ' acl=' || coalesce((select string_agg(x::text, ',' order by x::text) from unnest(c.relacl) x), '')
       || ' options=' || coalesce(c.reloptions::text, '')
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('ocd', 'landing', 'public', 'auth') and c.relkind in ('r', 'v', 'm', 'p', 'S')
union all
select 'index ' || indexdef from pg_indexes where schemaname in ('ocd', 'landing', 'public', 'auth')
union all
select 'constraint ' || conrelid::regclass || ' ' || conname || ' ' || pg_get_constraintdef(o.oid)
from pg_constraint o join pg_namespace n on n.oid = o.connamespace where n.nspname in ('ocd', 'landing', 'public', 'auth')
union all
select 'trigger ' || tgrelid::regclass || ' ' || pg_get_triggerdef(t.oid) from pg_trigger t where not tgisinternal
union all
select 'policy ' || schemaname || '.' || tablename || ' ' || policyname || ' ' || permissive || ' ' || roles::text || ' ' || cmd
       || ' ' || coalesce(qual, '') || ' ' || coalesce(with_check, '') from pg_policies
union all
select 'function ' || p.oid::regprocedure || ' ' || md5(pg_get_functiondef(p.oid)) || ' acl=' || coalesce(p.proacl::text, '')
from pg_proc p join pg_namespace n on n.oid = p.pronamespace where n.nspname in ('ocd', 'landing', 'public', 'auth') and p.prokind = 'f'
union all
select 'schema ' || nspname || ' acl=' || coalesce(nspacl::text, '') from pg_namespace where nspname in ('ocd', 'landing', 'public', 'auth')
order by 1
