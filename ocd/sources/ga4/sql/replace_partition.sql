-- Inserts or replaces a partition's head, unless recorded data would replace live data.
-- Returns: one row (id); no row when refused.
-- Leans on: ga_partition_property_report_day_key.
insert into landing.ga_partition as p
  (property, report, day, origin, fetched_at, run_id, row_count, time_zone, currency, is_provisional, is_thresholded,
   is_sampled, has_other_row, has_data_loss)
values
  (:property, :report, :day, :origin, :fetched_at, :run_id, :row_count, :time_zone, :currency, :is_provisional,
   :is_thresholded, :is_sampled, :has_other_row, :has_data_loss)
on conflict (property, report, day) do update set
  origin = excluded.origin, fetched_at = excluded.fetched_at, run_id = excluded.run_id, row_count = excluded.row_count,
  time_zone = excluded.time_zone, currency = excluded.currency, is_provisional = excluded.is_provisional,
  is_thresholded = excluded.is_thresholded, is_sampled = excluded.is_sampled, has_other_row = excluded.has_other_row,
  has_data_loss = excluded.has_data_loss
where not (p.origin = 'live' and excluded.origin = 'recorded')
returning id
