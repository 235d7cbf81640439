-- Which columns of a table other tables refer to, by foreign keys of one column.
-- Returns: one row (column_name) per column.
-- Leans on: pg_constraint is small; it is read whole.
select distinct a.attname as column_name
from pg_constraint c join pg_attribute a on a.attrelid = c.confrelid and a.attnum = c.confkey[1]
where c.confrelid = to_regclass(:table) and c.contype = 'f' and cardinality(c.confkey) = 1
order by 1
