-- Sets of columns in which no two rows of a table can be equal.
-- Returns: one row per valid unique index over plain columns of every row (table, columns).
-- Leans on: pg_index.
select format('%s.%s', n.nspname, c.relname) as "table", array_agg(a.attname::text) as columns
from pg_index i
join pg_class c on c.oid = i.indrelid
join pg_namespace n on n.oid = c.relnamespace
join pg_attribute a on a.attrelid = i.indrelid and a.attnum = any (i.indkey[0:i.indnkeyatts - 1])
where i.indisunique and i.indisvalid and i.indimmediate and i.indpred is null and i.indexprs is null
  and n.nspname not in ('pg_catalog', 'pg_toast', 'information_schema')
group by i.indexrelid, n.nspname, c.relname
