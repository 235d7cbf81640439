-- Views that run with their owner's rights, past the policies of the tables below.
-- Returns: one row (object, detail) per view.
-- Leans on: pg_class is small; it is read whole.
select n.nspname || '.' || c.relname as object, 'runs as its owner, past row security' as detail
from pg_class c join pg_namespace n on n.oid = c.relnamespace
where n.nspname in ('public', 'landing', 'ocd') and c.relkind = 'v'
  and not coalesce(c.reloptions && array['security_invoker=true', 'security_invoker=on', 'security_invoker=1'], false)
  and not exists (select from pg_depend d where d.objid = c.oid and d.deptype = 'e')
order by 1
