-- Deletes facts of a period about agents that no row of it names any more (renamed, erased).
-- Returns: nothing.
-- Leans on: metric_facts_metric_scope_period_start_period_end_key.
delete from public.metric_facts
where metric = any(:metrics) and period_start = :start and period_end = :end and scope <> all(:scopes)
