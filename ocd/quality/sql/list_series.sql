-- Numbers that earlier checks of all rows came to, while the rules said the same as now.
-- Returns: one row per rule and day (rule, checked_at, number), oldest first: what was measured, else the share
--   that failed; the last check of a day counts.
-- Leans on: quality_result_checked_at_idx.
select distinct on (rule, checked_at::date) rule, checked_at, coalesce(value, share) as number
from ocd.quality_result
where rule_version = any (:versions) and not is_only_new and status in ('passed', 'failed')
  and checked_at > cast(:now as timestamptz) - make_interval(days => :days) and checked_at < :now
order by rule, checked_at::date, checked_at desc
