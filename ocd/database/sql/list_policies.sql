-- Every policy on the shop's tables and the mirrors.
-- Returns: one row (name, on_table, roles, verb, is_permissive, using, checked) per policy.
-- Leans on: pg_policy is small; it is read whole.
select p.policyname as name, p.schemaname || '.' || p.tablename as on_table, p.roles::text[] as roles,
       lower(p.cmd) as verb, p.permissive = 'PERMISSIVE' as is_permissive,
       coalesce(p.qual, '') as using, coalesce(p.with_check, '') as checked
from pg_policies p
where (p.schemaname in ('public', 'landing') or p.schemaname || '.' || p.tablename = any(:tables))
order by 2, 1
