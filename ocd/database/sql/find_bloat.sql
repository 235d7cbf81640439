-- Tables in which dead rows take a large share, or whose statistics are older than much of their content.
-- Returns: one row (object, detail) per table and trouble.
-- Leans on: pg_stat_user_tables.
select s.schemaname || '.' || s.relname as object, 'dead rows: ' || s.n_dead_tup || ' beside ' || s.n_live_tup || ' live ones' as detail
from pg_stat_user_tables s
where s.schemaname in ('public', 'landing', 'ocd') and s.n_dead_tup >= :bloat_rows
  and s.n_dead_tup > :bloat_share * (s.n_live_tup + s.n_dead_tup)
union all
select s.schemaname || '.' || s.relname, 'statistics: ' || s.n_mod_since_analyze || ' rows changed since they were taken'
from pg_stat_user_tables s
where s.schemaname in ('public', 'landing', 'ocd') and s.n_mod_since_analyze >= :bloat_rows
  and s.n_mod_since_analyze > :bloat_share * s.n_live_tup
order by 1, 2
