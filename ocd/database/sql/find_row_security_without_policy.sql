-- Tables in reach of the API with row security on and no policy: nobody sees a row, perhaps by mistake.
-- Returns: one row (object, detail) per table.
-- Leans on: pg_class is small; it is read whole.
select n.nspname || '.' || c.relname as object, 'row security is on and no policy lets a row through' as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and c.relrowsecurity
  and not exists (select from pg_policy p where p.polrelid = c.oid)
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1
