-- How large tables are, with indexes and long values.
-- Returns: one row (name, bytes, rows) per name that exists; rows as the server estimates them, null before the
-- first analysis.
-- Leans on: pg_class_oid_index.
select n.name, pg_total_relation_size(c.oid) as bytes, nullif(c.reltuples, -1)::bigint as rows
from unnest(cast(:tables as text[])) as n (name)
join pg_class c on c.oid = to_regclass(n.name)
