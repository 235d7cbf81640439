-- Heartbeats that are not there yet, known by task and instant.
-- Returns: nothing; one new row per heartbeat.
-- Leans on: observability_logs_request_id_idx.
insert into public.observability_logs (level, message, metadata, request_id, created_at)
select distinct on (request_id) 'INFO', message, metadata, request_id, created_at
from jsonb_to_recordset(cast(:rows as jsonb)) as r
  (message text, metadata jsonb, request_id text, created_at timestamptz)
where not exists (select from public.observability_logs l where l.request_id = r.request_id)
