-- Inserts or replaces a partition's head.
-- Returns: one row (id).
-- Leans on: ga_partition_property_report_day_key.
insert into landing.ga_partition as p
  (property, report, day, origin, fetched_at, run_id, row_count, time_zone, currency, is_provisional, is_thresholded,
   is_sampled, has_other_row, has_data_loss, content_sha256, totals, tokens)
values
  (:property, :report, :day, :origin, :fetched_at, :run_id, :row_count, :time_zone, :currency, :is_provisional,
   :is_thresholded, :is_sampled, :has_other_row, :has_data_loss, :content_sha256, cast(:totals as jsonb), :tokens)
on conflict (property, report, day) do update set
  origin = excluded.origin, fetched_at = excluded.fetched_at, run_id = excluded.run_id, row_count = excluded.row_count,
  time_zone = excluded.time_zone, currency = excluded.currency, is_provisional = excluded.is_provisional,
  is_thresholded = excluded.is_thresholded, is_sampled = excluded.is_sampled, has_other_row = excluded.has_other_row,
  has_data_loss = excluded.has_data_loss, content_sha256 = excluded.content_sha256, totals = excluded.totals,
  tokens = excluded.tokens, restated_at = case when :is_restated then excluded.fetched_at else p.restated_at end
returning id
