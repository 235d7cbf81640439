-- Large indexes that no query used since the counters began, if that is long enough ago; unique ones also guard.
-- Returns: one row (object, detail) per index.
-- Leans on: pg_stat_user_indexes, pg_stat_database.
select s.indexrelid::regclass::text as object,
       'never used since ' || to_char(d.since, 'YYYY-MM-DD') || ', ' || pg_size_pretty(pg_relation_size(s.indexrelid)) as detail
from pg_stat_user_indexes s join pg_index i on i.indexrelid = s.indexrelid
cross join (select coalesce(stats_reset, pg_postmaster_start_time()) as since from pg_stat_database
            where datname = current_database()) d
where s.schemaname in ('public', 'landing', 'ocd') and s.idx_scan = 0 and not i.indisunique
  and d.since <= cast(:now as timestamptz) - cast(:unused_for as interval)
  and pg_relation_size(s.indexrelid) >= :unused_bytes
order by pg_relation_size(s.indexrelid) desc
