-- The sequences that number the columns of a table, and where they stand.
-- Returns: one row (name, last_value) each; last_value is null where it was never used.
-- Leans on: pg_depend_reference_index.
select s.oid::regclass::text as name, pg_sequence_last_value(s.oid) as last_value,
       has_sequence_privilege(s.oid, 'select') as is_readable
from pg_depend d join pg_class s on s.oid = d.objid and s.relkind = 'S'
where d.refclassid = 'pg_class'::regclass and d.refobjid = %(relation)s::regclass
  and d.classid = 'pg_class'::regclass and d.deptype in ('a', 'i')
order by 1
