-- Foreign keys without an index that leads with their columns: every delete of a parent scans the child.
-- Returns: one row (object, detail) per foreign key.
-- Leans on: pg_constraint and pg_index are small; they are read whole.
select k.conrelid::regclass::text as object, 'no index leads with the columns of ' || k.conname as detail
from pg_constraint k join pg_class c on c.oid = k.conrelid join pg_namespace n on n.oid = c.relnamespace
where k.contype = 'f' and n.nspname in ('public', 'landing', 'ocd')
  and not exists (
    select from pg_index i
    where i.indrelid = k.conrelid and i.indisvalid
      and array(select one from unnest(k.conkey) one order by one)
        = array(select one from unnest((i.indkey::int2[])[0:cardinality(k.conkey) - 1]) one order by one))
order by 1, 2
