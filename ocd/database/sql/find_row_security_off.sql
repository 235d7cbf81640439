-- Tables in reach of the API whose rows are open to whoever has a grant, or to their owner.
-- Returns: one row (object, detail) per table.
-- Leans on: pg_class is small; it is read whole.
select n.nspname || '.' || c.relname as object,
       case when c.relrowsecurity then 'row security is on, but not forced: the owner is not under it'
            else 'row security is off' end as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname = 'public' and c.relkind in ('r', 'p') and not (c.relrowsecurity and c.relforcerowsecurity)
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1
