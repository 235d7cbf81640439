-- Decisions that are not there yet, known by their id in the file.
-- Returns: nothing; one new row per decision.
-- Leans on: decision_log_source_id_key.
insert into public.decision_log (source_id, scope, actor, action, rationale, evidence_url, payload, created_at)
select source_id, scope, actor, action, rationale, evidence_url, payload, created_at
from jsonb_to_recordset(cast(:rows as jsonb)) as r
  (source_id text, scope text, actor text, action text, rationale text, evidence_url text, payload jsonb,
   created_at timestamptz)
on conflict (source_id) do nothing
