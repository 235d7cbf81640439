-- Whether this login may vacuum a table: as its owner, or (PostgreSQL 17 and later) by the right MAINTAIN.
-- Returns: one row (true or false).
-- Leans on: pg_class_oid_index.
select case when pg_has_role(c.relowner, 'USAGE') then true
            when current_setting('server_version_num')::int >= 170000 then has_table_privilege(c.oid, 'MAINTAIN')
            else false end as may_vacuum
from pg_class c where c.oid = to_regclass(:table)
