-- Functions whose caller decides in which schema their names are looked up.
-- Returns: one row (object, detail) per function.
-- Leans on: pg_proc is small; it is read whole.
select p.oid::regprocedure::text as object, 'its search_path is the caller''s' as detail
from pg_proc p join pg_namespace n on n.oid = p.pronamespace
where n.nspname in ('public', 'landing', 'ocd') and p.prokind in ('f', 'p')
  and not exists (select from unnest(p.proconfig) one where one like 'search_path=%')
  and not exists (select from pg_depend d where d.objid = p.oid and d.deptype = 'e')
order by 1
