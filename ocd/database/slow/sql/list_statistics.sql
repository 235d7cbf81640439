-- Statements of this database that once took long, as pg_stat_statements sums them up.
-- Returns: one row (statement, role, calls, total_ms, max_ms) per statement and role; `statement` is null where
-- the login may not read the text.
-- Leans on: nothing; the extension keeps some thousand rows in memory.
select case when s.query = '<insufficient privilege>' then null else s.query end as statement,
       r.rolname as role, s.calls, s.total_exec_time as total_ms, s.max_exec_time as max_ms
from pg_stat_statements s
left join pg_catalog.pg_roles r on r.oid = s.userid
where s.dbid = (select oid from pg_catalog.pg_database where datname = current_database())
  and s.max_exec_time >= :slower_than_ms
