-- Decision syncs that are not there yet; a trigger brings their status to one vocabulary.
-- Returns: nothing; one new row per sync.
-- Leans on: decision_sync_event_logs_attempt_key.
insert into public.decision_sync_event_logs
  (decision_id, status, duration_ms, error_code, attempt, scope, payload, created_at)
select decision_id, status, duration_ms, error_code, attempt, scope, payload, created_at
from jsonb_to_recordset(cast(:rows as jsonb)) as r
  (decision_id bigint, status text, duration_ms numeric, error_code text, attempt integer, scope text,
   payload jsonb, created_at timestamptz)
on conflict (decision_id, attempt, created_at) do nothing
