-- Returns: per column whether it may be null and what the last ANALYZE found: distinct values, the commonest with
-- their shares, edges of equally filled buckets. Values only of the columns in :open; none leaves the server otherwise.
-- Grain: one row per column; a column that was never analysed has nulls.
-- Leans on: pg_attribute's and pg_statistic's primary keys.
select a.attname as name, a.attnotnull as is_required, s.n_distinct as distinct_values,
  case when a.attname = any(:open) then s.most_common_vals::text::text[] end as common,
  case when a.attname = any(:open) then s.most_common_freqs end as shares,
  case when a.attname = any(:open) then s.histogram_bounds::text::text[] end as bounds
from pg_attribute a
join pg_class c on c.oid = a.attrelid
join pg_namespace n on n.oid = c.relnamespace
left join pg_stats s on s.schemaname = n.nspname and s.tablename = c.relname and s.attname = a.attname
  and not s.inherited
where a.attrelid = to_regclass(:table) and a.attnum > 0 and not a.attisdropped
order by a.attnum
