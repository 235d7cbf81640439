-- Keeps what came of asking one rule.
-- Returns: nothing.
-- Leans on: nothing.
insert into ocd.quality_result (run_id, checked_at, dataset, rule, rule_version, dimension, severity, status,
  is_only_new, asked_rows, failed_rows, share, value, usual_low, usual_high, is_unusual, sample_keys, high_key,
  took_ms, detail)
values (:run_id, :checked_at, :dataset, :rule, :rule_version, :dimension, :severity, :status,
  :is_only_new, :asked_rows, :failed_rows, :share, :value, :usual_low, :usual_high, :is_unusual, :sample_keys,
  :high_key, :took_ms, :detail)
