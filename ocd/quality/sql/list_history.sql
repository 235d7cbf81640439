-- What came of asking rules, newest first.
-- Returns: one row per check and rule.
-- Leans on: quality_result_rule_idx, quality_result_dataset_idx.
select run_id, checked_at, dataset, rule, rule_version, dimension, severity, status, is_only_new, asked_rows,
  failed_rows, share, value, usual_low, usual_high, is_unusual, sample_keys, took_ms, detail
from ocd.quality_result
where (cast(:rule as text) is null or rule = :rule) and (cast(:dataset as text) is null or dataset = :dataset)
  and checked_at > cast(:now as timestamptz) - make_interval(days => :days)
order by checked_at desc, id desc
limit :limit
