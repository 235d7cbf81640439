-- Deletes facts of a period about scopes that it no longer has: renamed, erased, or fine again.
-- Only of metrics that were computed in time: of late ones the rows may be gone, not the scopes.
-- Returns: nothing.
-- Leans on: metric_facts_metric_scope_period_start_period_end_key.
delete from public.metric_facts
where metric = any(:in_time) and period_start = :start and period_end = :end
  and (metric, scope) not in (select * from unnest(cast(:metrics as text[]), cast(:scopes as text[])))
