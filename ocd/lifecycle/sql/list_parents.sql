-- What the rows of a table refer to, by foreign keys of one column.
-- Returns: one row (column_name, parent_schema, parent_table, parent_column) per foreign key.
-- Leans on: pg_constraint_conrelid_contypid_conname_index.
select a.attname as column_name, n.nspname as parent_schema, p.relname as parent_table, b.attname as parent_column
from pg_constraint c
join pg_attribute a on a.attrelid = c.conrelid and a.attnum = c.conkey[1]
join pg_class p on p.oid = c.confrelid
join pg_namespace n on n.oid = p.relnamespace
join pg_attribute b on b.attrelid = c.confrelid and b.attnum = c.confkey[1]
where c.conrelid = to_regclass(:table) and c.contype = 'f' and cardinality(c.conkey) = 1
order by c.conname
