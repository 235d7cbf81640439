-- Writes one metric of a period, replacing an earlier value of the same one.
-- Where `is_late`, rows of the period may be purged already: then what was computed before stays.
-- Returns: nothing.
-- Leans on: metric_facts_metric_scope_period_start_period_end_key.
insert into public.metric_facts as fact
  (metric, scope, period_start, period_end, value, unit, inputs, reason, run_id, computed_at, level, spec)
values
  (:metric, :scope, :start, :end, :value, :unit, cast(:inputs as jsonb), :reason, :run_id, :computed_at, :level,
   cast(:spec as jsonb))
on conflict (metric, scope, period_start, period_end) do update set
  value = excluded.value, unit = excluded.unit, inputs = excluded.inputs, reason = excluded.reason,
  run_id = excluded.run_id, computed_at = excluded.computed_at, level = excluded.level, spec = excluded.spec
where not :is_late or fact.inputs @> '{"is_late": true}'
