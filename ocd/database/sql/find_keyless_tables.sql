-- Tables without a primary key: a row cannot be named.
-- Returns: one row (object, detail) per table.
-- Leans on: pg_class is small; it is read whole.
select n.nspname || '.' || c.relname as object, 'no primary key' as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'landing', 'ocd') and c.relkind in ('r', 'p')
  and not exists (select from pg_index i where i.indrelid = c.oid and i.indisprimary)
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1
