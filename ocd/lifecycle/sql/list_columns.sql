-- The live columns of a table, in order.
-- Returns: one row (name, type) per column.
-- Leans on: pg_attribute_relid_attnum_index.
select a.attname as name, format_type(a.atttypid, a.atttypmod) as type
from pg_attribute a
where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped and a.attgenerated = ''
order by a.attnum
