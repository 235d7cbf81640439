-- Columns of a table as they are.
-- Returns: one row per column (name, type, nullable), in order.
-- Leans on: pg_attribute_relid_attnum_index.
select attname as name, format_type(atttypid, atttypmod) as type, not attnotnull as nullable
from pg_attribute
where attrelid = to_regclass(:table) and attnum > 0 and not attisdropped
order by attnum
