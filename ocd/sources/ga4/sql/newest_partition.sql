-- Finds the newest day that is stored of the property that was read last.
-- Returns: one row; no row where nothing is stored.
select property, day as newest_day, fetched_at as read_at, origin, is_provisional, time_zone,
       is_thresholded or is_sampled or has_other_row or has_data_loss as is_incomplete
from landing.ga_partition
order by fetched_at desc, day desc limit 1
