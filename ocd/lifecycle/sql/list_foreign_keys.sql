-- The foreign keys from and to some tables.
-- Returns: one row (table, referred, name, definition) each; an empty search_path makes names whole.
-- Leans on: a scan of pg_constraint, some dozens of rows.
select c.conrelid::regclass::text, c.confrelid::regclass::text, c.conname::text, pg_get_constraintdef(c.oid)
from pg_constraint c, (select array_agg(name::regclass::oid) as oids from unnest(%(tables)s::text[]) name) t
where c.contype = 'f' and (c.conrelid = any (t.oids) or c.confrelid = any (t.oids))
order by 1, 2, 3
